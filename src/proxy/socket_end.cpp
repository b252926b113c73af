#include "proxy/socket_end.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "net/socket.h"

namespace weir::proxy {
namespace {

// The pipe's capacity asked for. Larger moves amortise two splice calls over more bytes: 1 MiB, the
// unprivileged maximum (pipe-max-size), is what the kernel gives without asking for a privilege.
constexpr int pipe_size = 1024 * 1024;

auto failed(int error) -> IoResult {
  if (error == EAGAIN || error == EWOULDBLOCK) return {.status = IoStatus::would_block};
  return {.status = IoStatus::broken, .error = error};
}

}  // namespace

auto KernelPipe::create() -> std::unique_ptr<KernelPipe> {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC | O_NONBLOCK) != 0) return nullptr;
  std::unique_ptr<KernelPipe> pipe(new KernelPipe(Fd(fds[0]), Fd(fds[1])));
  // May be refused past pipe-user-pages-soft; the default 64 KiB then does.
  ::fcntl(fds[1], F_SETPIPE_SZ, pipe_size);
  return pipe;
}

auto SocketEnd::read(std::span<std::byte> into) -> ReadResult {
  while (true) {
    const ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (n > 0) return {{.bytes = static_cast<std::size_t>(n)}};
    if (n == 0) return {{.status = IoStatus::end}};
    if (errno != EINTR) return {failed(errno)};
  }
}

auto SocketEnd::write(std::span<const std::byte> from) -> IoResult {
  while (true) {
    const ssize_t n = ::send(fd_.get(), from.data(), from.size(), MSG_NOSIGNAL);
    if (n >= 0) return {.bytes = static_cast<std::size_t>(n)};
    if (errno != EINTR) return failed(errno);
  }
}

auto SocketEnd::close_write() -> IoResult {
  // ENOTCONN: the peer's reset came first; the next read tells.
  if (::shutdown(fd_.get(), SHUT_WR) == 0 || errno == ENOTCONN) return {};
  return failed(errno);
}

auto SocketEnd::unsent() const -> std::size_t { return net::unsent_bytes(fd_.get()); }

auto SocketEnd::dead() const -> bool { return tcp_ && net::connection_is_dead(fd_.get()); }

void SocketEnd::drain_notices() {
  // A Unix socket has no error queue: recvmsg(2) would read its stream, and take a reset with it.
  if (!tcp_) return;
  // Taking from it leaves a pending reset where it is. Bounded: what is left raises the flag again.
  constexpr int most = 64;
  std::array<std::byte, 256> control{};
  for (int i = 0; i < most; ++i) {
    msghdr message{};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(fd_.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
  }
}

void SocketEnd::reset() {
  // A Unix socket has no RST; its peer gets ECONNRESET only if it left bytes unread.
  if (tcp_ && fd_) net::reset_on_close(fd_.get());
  fd_.reset();
}

auto SocketEnd::splice_in(Pipe& pipe, std::size_t most) -> IoResult {
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

auto SocketEnd::splice_out(Pipe& pipe) -> IoResult {
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
