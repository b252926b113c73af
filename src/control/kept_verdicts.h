#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "diagnose/ledger.h"

namespace weir::control {

// A verdict as it is kept for who asks later.
struct KeptVerdict {
  std::uint64_t id = 0;  // from 1, without a gap, over all proxies
  ProxyId proxy{};
  WallTime time{};  // when the pause began
  diagnose::ToldVerdict verdict;
};

// The last verdicts of all proxies, numbered. One thread at a time.
class KeptVerdicts {
 public:
  static constexpr std::size_t remembered = 4096;

  // With the next id, which it returns.
  auto add(KeptVerdict verdict) -> std::uint64_t;
  // All of one proxy, which nobody misses.
  void forget(ProxyId proxy);

  struct Answer {
    std::vector<KeptVerdict> verdicts;  // the oldest first
    std::uint64_t last = 0;             // the id of the last one that there was
    std::uint64_t missed = 0;           // of all proxies, how many after `after` are forgotten, as so many came
  };
  // At most `most` of one proxy, or of all: those after `after`, or without it the last ones.
  [[nodiscard]] auto read(std::optional<ProxyId> proxy, std::optional<std::uint64_t> after, std::size_t most) const
      -> Answer;

 private:
  std::deque<KeptVerdict> kept_;
  std::uint64_t last_id_ = 0;
  std::uint64_t forgotten_ = 0;  // up to which id, as so many came
};

}  // namespace weir::control
