#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace weir::view {

// A bounded buffer in front of a descriptor: views append, write(2) happens when it is full and at
// flush(). One thread (the observer's), except abandon(). Once the descriptor takes no more (EPIPE,
// ENOSPC, ...), whatever is appended is thrown away and flush() returns false.
//
// A slow reader of the descriptor blocks flush() and so its caller: that is how `--when-slow block`
// slows the traffic. A non-blocking descriptor is waited for with poll(2). The program must ignore
// SIGPIPE.
class Output {
 public:
  // Large enough that bulk costs one write(2) per 128 KiB or so, small enough to stay in the L2 cache.
  static constexpr std::size_t capacity = 128 * 1024;

  // Borrows `fd`, which must outlive the Output. What is not flushed when it is destroyed is lost.
  explicit Output(int fd);

  // Room for n bytes (<= capacity), valid until the next call; written ones are added by commit().
  // Never fails: a closed output hands out room as well.
  [[nodiscard]] auto space(std::size_t n) -> char*;
  void commit(std::size_t n) { used_ += n; }

  // Any length. Long runs go to the descriptor without being copied.
  void append(std::string_view text);
  void append(std::span<const std::byte> bytes);

  // Writes what is buffered. false: the descriptor takes no more.
  [[nodiscard]] auto flush() -> bool;

  [[nodiscard]] auto closed() const -> bool { return error_ != 0; }
  // The errno that closed it, 0 while open. EPIPE: the reader left, which is nobody's fault.
  // ECANCELED: abandon().
  [[nodiscard]] auto error() const -> int { return error_; }

  // From any thread: nothing more is to be written. A write(2) that is blocked sees it when a signal
  // interrupts it (a handler without SA_RESTART), so the caller keeps signalling the observer's
  // thread until that thread has ended.
  void abandon() { abandoned_.store(true, std::memory_order_relaxed); }

 private:
  void write_all(const char* data, std::size_t size);
  void wait_until_writable();
  [[nodiscard]] auto abandoned() -> bool;

  int fd_;
  int error_ = 0;
  std::size_t used_ = 0;
  std::unique_ptr<char[]> buffer_;
  std::atomic<bool> abandoned_{false};
};

// Creates the file if it is not there; `flags` is O_APPEND or O_TRUNC. Waits for nobody: a pipe that has no reader is
// an error, whose message is for "PATH: message".
[[nodiscard]] auto open_for_writing(const std::string& path, int flags, unsigned mode) -> Result<Fd>;

}  // namespace weir::view
