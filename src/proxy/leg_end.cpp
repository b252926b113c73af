#include "proxy/leg_end.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/descriptors.h"
#include "net/socket.h"
#include "proxy/leg_counters.h"

namespace weir::proxy {
namespace {

// The pipe's capacity asked for. Larger moves amortise two splice calls over more bytes: 1 MiB, the
// unprivileged maximum (pipe-max-size), is what the kernel gives without asking for a privilege.
constexpr int pipe_size = 1024 * 1024;

auto failed(int error) -> IoResult {
  if (error == EAGAIN || error == EWOULDBLOCK) return {.status = IoStatus::would_block};
  return {.status = IoStatus::broken, .error = error};
}

// One message of a TCP socket's error queue.
struct Notice {
  msghdr message{};
  alignas(cmsghdr) std::array<std::byte, 256> control;

  // False: there is none.
  auto take(int fd) -> bool {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    return ::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0;
  }
};

}  // namespace

auto KernelPipe::create() -> std::unique_ptr<KernelPipe> {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC | O_NONBLOCK) != 0) return nullptr;
  Fd read_end(fds[0]);
  Fd write_end(fds[1]);
  if (net::is_kept_descriptor(std::max(fds[0], fds[1]))) return nullptr;
  std::unique_ptr<KernelPipe> pipe(new KernelPipe(std::move(read_end), std::move(write_end)));
  // May be refused past pipe-user-pages-soft; the default 64 KiB then does.
  ::fcntl(fds[1], F_SETPIPE_SZ, pipe_size);
  return pipe;
}

auto LegEnd::read(std::span<std::byte> into) -> ReadResult {
  if (extras_) return read_with_extras(into);
  while (true) {
    const ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (n > 0) return {{.bytes = static_cast<std::size_t>(n)}};
    if (n == 0) return {{.status = IoStatus::end}};
    if (errno != EINTR) return {failed(errno)};
  }
}

auto LegEnd::read_with_extras(std::span<std::byte> into) -> ReadResult {
  alignas(cmsghdr) std::array<std::byte, 128> control;
  iovec part{.iov_base = into.data(), .iov_len = into.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  while (true) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t n = ::recvmsg(fd_.get(), &message, 0);
    if (n > 0) {
      if (extras_->quick_acks > 0) {
        --extras_->quick_acks;
        net::acknowledge_now(fd_.get());
      }
      return {{.bytes = static_cast<std::size_t>(n)}, LegStamps::kernel_time(message)};
    }
    if (n == 0) return {{.status = IoStatus::end}};
    if (errno != EINTR) return {failed(errno)};
  }
}

auto LegEnd::write(std::span<const std::byte> from) -> IoResult {
  while (true) {
    const ssize_t n = ::send(fd_.get(), from.data(), from.size(), MSG_NOSIGNAL);
    if (n >= 0) return {.bytes = static_cast<std::size_t>(n)};
    if (errno != EINTR) return failed(errno);
  }
}

auto LegEnd::close_write() -> IoResult {
  // ENOTCONN: the peer's reset came first; the next read tells.
  if (::shutdown(fd_.get(), SHUT_WR) == 0 || errno == ENOTCONN) return {};
  return failed(errno);
}

auto LegEnd::unsent() const -> std::size_t { return net::unsent_bytes(fd_.get()); }

auto LegEnd::dead() const -> bool { return tcp_ && net::connection_is_dead(fd_.get()); }

void LegEnd::take_stamps(const StampWishes& wishes, std::uint64_t written) {
  if (!tcp_ || (!extras_ && !wishes.any())) return;
  if (!extras_) extras_ = std::make_unique<LegExtras>();
  if (!extras_->stamps.is_numbered()) {
    // Stamps that an earlier time left behind count from another byte.
    while (Notice().take(fd_.get())) {  // mutant: left-stamps-are-kept
    }
  }
  if (extras_->stamps.wishes() != wishes) extras_->stamps.set(fd_.get(), wishes, written);
  drop_idle_extras();
}

void LegEnd::acknowledge_at_once(unsigned reads) {
  if (!tcp_ || (!extras_ && reads == 0)) return;
  if (!extras_) extras_ = std::make_unique<LegExtras>();
  extras_->quick_acks = reads;
  drop_idle_extras();
  if (reads > 0) net::acknowledge_now(fd_.get());
}

void LegEnd::drop_idle_extras() {
  if (!extras_->stamps.wishes().any() && extras_->quick_acks == 0) extras_.reset();
}

auto LegEnd::drain_notices(TransmitStamps& stamps) -> std::size_t {  // mutant: so-error-read-first
  // A Unix socket has no error queue: recvmsg(2) would read its stream, and take a reset with it.
  if (!tcp_) return 0;
  // Taking from it leaves a pending reset where it is. Bounded: what is left raises the flag again.
  std::size_t told = 0;
  for (std::size_t taken = 0; taken < stamps.size(); ++taken) {
    Notice notice;
    if (!notice.take(fd_.get())) break;  // mutant: notices-not-drained
    if (!extras_) continue;
    if (const auto stamp = extras_->stamps.transmit_stamp(notice.message)) stamps[told++] = *stamp;
  }
  return told;
}

auto LegEnd::counters() const -> std::optional<event::LegCounters> {
  return tcp_ ? tcp_counters(fd_.get()) : std::nullopt;
}

void LegEnd::reset() {
  // A Unix socket has no RST; its peer gets ECONNRESET only if it left bytes unread.
  if (tcp_ && fd_) net::reset_on_close(fd_.get());  // mutant: reset-without-linger
  fd_.reset();
}

auto LegEnd::splice_in(Pipe& pipe, std::size_t most) -> IoResult {
  while (true) {
    const ssize_t n =
        ::splice(fd_.get(), nullptr, pipe.write_end_.get(), nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0) {
      pipe.bytes_ += static_cast<std::size_t>(n);
      return {.bytes = static_cast<std::size_t>(n)};
    }
    if (n == 0) return {.status = IoStatus::end};
    if (errno != EINTR) return failed(errno);
  }
}

auto LegEnd::splice_out(Pipe& pipe) -> IoResult {
  while (true) {
    // Never SPLICE_F_MORE: it holds back the last bytes of a burst.
    const ssize_t n =
        ::splice(pipe.read_end_.get(), nullptr, fd_.get(), nullptr, pipe.bytes_, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n == 0) return {.status = IoStatus::broken, .error = EIO};  // never of a pipe that holds bytes
    if (n > 0) {
      pipe.bytes_ -= static_cast<std::size_t>(n);
      return {.bytes = static_cast<std::size_t>(n)};
    }
    if (errno != EINTR) return failed(errno);
  }
}

}  // namespace weir::proxy
