#pragma once

#include <sys/epoll.h>

#include <functional>
#include <utility>

#include "base/result.h"
#include "net/event_loop.h"

namespace weir::control {

// A descriptor on the loop, and what to do when it is readable. Level-triggered. The loop's thread; borrows what it
// watches, which must stay open until stop().
class Readable final : private net::ReadyHandler {
 public:
  Readable(net::EventLoop& loop, std::function<void()> act) : loop_(loop), act_(std::move(act)) {}
  ~Readable() { stop(); }
  Readable(const Readable&) = delete;
  auto operator=(const Readable&) -> Readable& = delete;
  [[nodiscard]] auto watch(int fd) -> Result<void> {
    auto token = loop_.watch(fd, *this, EPOLLIN);
    if (!token) return tl::make_unexpected(token.error());
    token_ = *token;
    fd_ = fd;
    return {};
  }
  void stop() {
    if (fd_ >= 0) loop_.unwatch(token_, fd_);
    fd_ = -1;
  }

 private:
  void on_ready(std::uint32_t) override { act_(); }
  net::EventLoop& loop_;
  std::function<void()> act_;
  net::WatchToken token_;
  int fd_ = -1;
};

}  // namespace weir::control
