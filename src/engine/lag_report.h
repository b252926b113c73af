#pragma once

#include <optional>
#include <string>

#include "engine/engine.h"

namespace weir::engine {

// Says while it happens that a view is slower than the traffic. Asked each second or so; the time is told to it.
class LagReport {
 public:
  // A sentence for people; or nothing, as nothing is new or too little time has passed since the last one.
  auto look(MonoTime now, const ObserverLag& lag) -> std::optional<std::string>;

  static constexpr Nanos least_hold = std::chrono::seconds{1};  // less is the ordinary pace of a reader
  static constexpr Nanos say_at_most = std::chrono::seconds{10};

 private:
  std::optional<MonoTime> held_since_;  // at each look since then sessions were held up
  std::optional<MonoTime> said_at_;
  std::uint64_t told_chunks_ = 0;
};

// Who reads the observer, what it holds up, for how long it has made no room, and the way out.
[[nodiscard]] auto describe(const ObserverHold& hold) -> std::string;

}  // namespace weir::engine
