// Leases: what a client holds for as long as one of its connections is open.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"
#include "net/event_loop.h"

namespace weir::control {

// The leases that are held. Each belongs to one answer without an end: it ends when that connection does, and
// on demand, whichever comes first. Whose machine is gone without a word (half-open) is found out by what we
// send: a comment every `heartbeat`, which the peer's kernel must acknowledge within `patience`. The control
// thread only; must outlive the streams.
class Leases {
 public:
  // Called once for each lease that ends, in a turn of the loop's own or from end(); nobody makes an object under it
  // any more. It calls `then` when what carries the lease is taken back, which takes as many turns as there is of it.
  using OnEnd = std::function<void(const std::string& id, std::function<void()> then)>;
  Leases(net::EventLoop& loop, OnEnd on_end) : loop_(loop), on_end_(std::move(on_end)) {}
  Leases(const Leases&) = delete;
  auto operator=(const Leases&) -> Leases& = delete;

  struct Opened {
    std::string id;
    std::unique_ptr<http::BodyStream> stream;
  };
  // A null stream: most_leases are held.
  [[nodiscard]] auto open() -> Opened;
  [[nodiscard]] auto is_held(std::string_view id) const -> bool { return held_.contains(id); }
  // False: it is not held, and `then` is never called.
  auto end(const std::string& id, std::function<void()> then) -> bool;
  // By id, with the time since when.
  [[nodiscard]] auto held() const -> const std::map<std::string, MonoTime, std::less<>>& { return held_; }
  // From now on nothing is undone: the process ends, and what is left may finish as it is.
  void abandon() { abandoned_ = true; }

  static constexpr std::size_t most_leases = 500;
  static constexpr Nanos heartbeat = std::chrono::seconds{5};
  static constexpr Nanos patience = std::chrono::seconds{20};

 private:
  class Stream;
  void closed(const std::string& id, net::EventLoop::Prepared undo);

  net::EventLoop& loop_;
  OnEnd on_end_;
  std::map<std::string, MonoTime, std::less<>> held_;
  bool abandoned_ = false;
};

}  // namespace weir::control
