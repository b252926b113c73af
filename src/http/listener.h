#pragma once

#include <functional>

#include "base/fd.h"
#include "base/result.h"
#include "net/event_loop.h"

namespace weir::http {

// A listening socket on the loop. Level-triggered, so that who was not accepted now is announced again. It pauses for
// 100 ms when no descriptor is left or there is no room. Loop thread only.
class Listener final : private net::ReadyHandler, private net::Timer {
 public:
  struct Owner {
    std::function<bool()> has_room;  // asked before each accept; may make some
    std::function<void(Fd)> on_accepted;
  };
  // `socket` is listening and non-blocking.
  Listener(net::EventLoop& loop, Fd socket, Owner owner);
  ~Listener() override;

  [[nodiscard]] auto start() -> Result<void>;

 private:
  void on_ready(std::uint32_t events) override;
  void on_timer() override;
  void pause();
  void arm();

  net::EventLoop& loop_;
  Fd socket_;
  Owner owner_;
  net::WatchToken token_;
  bool watching_ = false;
};

}  // namespace weir::http
