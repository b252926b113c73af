#pragma once

#include <sys/eventfd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace weir::demo {

// One loop on a thread of its own, which ends when its stop descriptor becomes readable: an eventfd
// that stop() and the destructor write to. Move only; used by one thread at a time.
class BackgroundLoop {
 public:
  // Runs `loop(int stop_fd) -> Result<void>` on a new thread. Whatever the loop needs must be owned
  // by it: it may run until stop() returns.
  template <class Loop>
  [[nodiscard]] static auto start(Loop loop) -> Result<BackgroundLoop> {
    BackgroundLoop started;
    started.stop_ = Fd(::eventfd(0, EFD_CLOEXEC));
    if (!started.stop_) return failure("eventfd: " + errno_text(errno), errno);
    started.outcome_ = std::make_unique<Result<void>>();
    try {
      started.thread_ = std::thread([stop_fd = started.stop_.get(), outcome = started.outcome_.get(),
                                     body = std::move(loop)]() mutable { *outcome = body(stop_fd); });
    } catch (const std::system_error& error) {
      return failure(fmt::format("start a thread: {}", error.what()), error.code().value());
    }
    return started;
  }

  BackgroundLoop(BackgroundLoop&&) noexcept = default;
  auto operator=(BackgroundLoop&&) -> BackgroundLoop& = delete;
  BackgroundLoop(const BackgroundLoop&) = delete;
  auto operator=(const BackgroundLoop&) -> BackgroundLoop& = delete;
  ~BackgroundLoop() { static_cast<void>(stop()); }

  // Ends the loop and waits for it. Returns how the loop ended; the same again when called again.
  auto stop() -> Result<void> {
    if (thread_.joinable()) {
      // Adding 1 to an eventfd fails only when its counter is full, and then it is readable already.
      static_cast<void>(::eventfd_write(stop_.get(), 1));
      thread_.join();
    }
    return outcome_ ? *outcome_ : Result<void>{};
  }

 private:
  BackgroundLoop() = default;

  Fd stop_;
  std::unique_ptr<Result<void>> outcome_;  // written by the thread, read after it is joined
  std::thread thread_;
};

}  // namespace weir::demo
