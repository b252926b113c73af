#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace weir::load {

// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] auto now_nanos() -> std::uint64_t;

// Addresses as the rest of Weir writes them: 127.0.0.1:8888, [::1]:8888, unix:/path. Numeric only.
// All sockets are non-blocking, close-on-exec and (TCP) TCP_NODELAY. All throw LoadError.
[[nodiscard]] auto listen_on(const std::string& text) -> Fd;
[[nodiscard]] auto local_address(const Fd& listener) -> std::string;
[[nodiscard]] auto connect_to(const std::string& text) -> Fd;     // connected on return
[[nodiscard]] auto start_connect(const std::string& text) -> Fd;  // may still be connecting
[[nodiscard]] auto accept_one(const Fd& listener) -> Fd;          // empty if nobody waits

// Soft RLIMIT_NOFILE to at least `wanted`; the hard one too if this process may. Throws LoadError
// that says how far it got.
void raise_descriptor_limit(std::uint64_t wanted);

// A level-triggered epoll. The word given to add() comes back in epoll_event::data.u64.
class Poller {
 public:
  Poller();
  void add(const Fd& fd, std::uint32_t events, std::uint64_t word);
  void change(const Fd& fd, std::uint32_t events, std::uint64_t word);
  // Waits until an event or `deadline` (CLOCK_MONOTONIC ns) - with epoll_pwait2, so to the
  // microsecond - and returns what is ready. The span lives until the next call.
  [[nodiscard]] auto wait_until(std::uint64_t deadline) -> std::span<const epoll_event>;

 private:
  Fd epoll_;
  std::array<epoll_event, 512> ready_{};
};

// 256 KiB of printable ASCII, a newline every 64 bytes: what every peer here sends, so that a view
// prints lines.
inline constexpr std::size_t payload_size = 256 * 1024;
[[nodiscard]] auto payload() -> const std::array<char, payload_size>&;

// Announces `weir-load: gate NAME` on stderr, then waits for one line (or the end) of stdin. With
// gates the driver can count or weigh exactly what lies between two of them.
void wait_at_gate(std::string_view name);

}  // namespace weir::load
