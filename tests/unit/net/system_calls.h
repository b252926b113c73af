// Calls of the C library that this test binary answers itself, so that a test can have an old kernel
// or a dead name server. Everything else goes on to the real ones.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>

namespace weir::net::test {

// epoll_pwait2(2) fails with this errno while it is not 0.
extern std::atomic<int> pwait2_error;
extern std::atomic<int> pwait2_calls;

// What getaddrinfo(3) does with names that end in ".test" (RFC 2606): it holds them at a gate, then
// answers 192.0.2.1, or that "no-such-host.test" does not exist.
class NameServer {
 public:
  static auto instance() -> NameServer&;
  // A fresh start: nobody waits, nothing was asked, the gate is open.
  void reset();
  void close_gate();
  void open_gate();
  // How many lookups came in, how many stand at the gate, how many have left the C library.
  [[nodiscard]] auto asked() const -> int;
  [[nodiscard]] auto waiting() const -> int;
  [[nodiscard]] auto answered() const -> int;
  void pass_through();

 private:
  mutable std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = true;
  int asked_ = 0;
  int waiting_ = 0;
  int answered_ = 0;
};

}  // namespace weir::net::test
