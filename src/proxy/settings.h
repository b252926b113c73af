#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/ids.h"
#include "event/ring.h"
#include "proxy/rules.h"

namespace weir::proxy {

// A proxy as its sessions see it. A value that never changes: a change of the proxy is another one, and a
// session keeps the one that it has until its worker gives it the next (Session::settings_changed).
struct ProxySettings {
  ProxyId id{};
  std::string name;
  ProxyRules rules;
  std::optional<std::uint64_t> accept_limit;  // accepted in all, then the listener closes (--once)
  std::optional<Address> forbidden;           // never connected to: Weir's own API, whatever name leads there
};

// The little that the workers of one proxy share, all atomic.
struct ProxyShared {
  std::atomic<std::uint64_t> accepted{0};  // also the last session's number
  std::atomic<std::uint64_t> live{0};      // sessions
  std::atomic<std::uint64_t> peak{0};      // the most that were live at once
  std::atomic<std::uint64_t> places{0};    // taken before each accept(2), so at times one more a worker than live
  std::atomic<std::uint64_t> refused_accepts{0};  // times the listener waited: no descriptor, too many sessions
  std::function<void()> on_place_free;            // any worker's thread; set before the first accept

  // Takes a place for one more session, unless `most` are taken: then false. `most` is never exceeded,
  // however many workers accept at once.
  [[nodiscard]] auto take_place(std::optional<std::uint64_t> most) -> bool {
    std::uint64_t now = places.load(std::memory_order_relaxed);
    do {
      if (most && now >= *most) return false;
    } while (!places.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
    return true;
  }
  // The place has its session.
  void session_began() {
    const std::uint64_t now = live.fetch_add(1, std::memory_order_relaxed) + 1;
    std::uint64_t seen = peak.load(std::memory_order_relaxed);
    while (seen < now && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
  }
  // The session ended, or none came: `session_ended` gives back its place too. The caller calls
  // on_place_free when all else is done: whoever reads `places` then must not see the old count, hence no
  // weaker order.
  void session_ended() {
    live.fetch_sub(1, std::memory_order_relaxed);
    give_place_back();
  }
  void give_place_back() { places.fetch_sub(1, std::memory_order_seq_cst); }
};

}  // namespace weir::proxy
