#pragma once

#include <unistd.h>

#include <utility>

namespace weir {

// Owns one file descriptor; closes it when destroyed. Move only. -1 is "none".
// Not thread-safe; a descriptor may be moved to another thread, not shared.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  auto operator=(Fd&& other) noexcept -> Fd& {
    if (this != &other) reset(other.release());
    return *this;
  }
  Fd(const Fd&) = delete;
  auto operator=(const Fd&) -> Fd& = delete;
  ~Fd() { reset(); }

  [[nodiscard]] auto get() const noexcept -> int { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

  // Gives the descriptor up without closing it.
  [[nodiscard]] auto release() noexcept -> int { return std::exchange(fd_, -1); }

  // close(2) is not retried on EINTR: on Linux the descriptor is gone either way (close(2), NOTES).
  void reset(int fd = -1) noexcept {
    const int old = std::exchange(fd_, fd);
    if (old >= 0) ::close(old);
  }

 private:
  int fd_ = -1;
};

}  // namespace weir
