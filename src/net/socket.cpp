#include "net/socket.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace weir::net {
namespace {

constexpr int listen_backlog = 4096;

auto set_option(int fd, int level, int name, int value) -> bool {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

auto rounded_up(Nanos value, Nanos unit) -> int {
  const auto count = (value + unit - Nanos{1}) / unit;
  return static_cast<int>(std::clamp<std::int64_t>(count, 1, 0x7fffffff));
}

// Steps into a network namespace for the life of the object; the calling thread only.
class InNamespace {
 public:
  explicit InNamespace(std::optional<int> target) {
    if (!target) return;
    home_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!home_ || ::setns(*target, CLONE_NEWNET) != 0) {
      error_ = errno;
      home_.reset();
    }
  }
  ~InNamespace() {
    // Staying would make every later socket of this thread a stranger's: better to stop.
    if (home_ && ::setns(home_.get(), CLONE_NEWNET) != 0) std::terminate();
  }
  InNamespace(const InNamespace&) = delete;
  auto operator=(const InNamespace&) -> InNamespace& = delete;
  [[nodiscard]] auto error() const -> int { return error_; }

 private:
  Fd home_;
  int error_ = 0;
};

// A Unix socket's file that nobody listens on any more: left by a process that was killed.
auto remove_stale_socket(const std::string& path, const sockaddr* address, socklen_t length) -> bool {
  struct stat info {};
  if (path.starts_with('@') || ::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe || ::connect(probe.get(), address, length) == 0 || errno != ECONNREFUSED) return false;
  return ::unlink(path.c_str()) == 0;
}

auto listen_error(const Address& address, int error) -> Failure {
  const char* way_out = "";
  switch (error) {
    case EADDRINUSE:
      way_out = address.is_ip() ? " (another weir? port 0 picks a free one)" : " (another weir? choose another path)";
      break;
    case EADDRNOTAVAIL: way_out = " (no interface here has this address; use :PORT for all)"; break;
    case EACCES:
    case EPERM:
      way_out = address.is_ip()
                    ? " (a port below net.ipv4.ip_unprivileged_port_start needs root or CAP_NET_BIND_SERVICE; "
                      "choose a higher one)"
                    : " (no permission to create a file there; choose another path)";
      break;
    case ENOENT: way_out = " (its directory does not exist; create it first)"; break;
    case EAFNOSUPPORT: way_out = " (this system has no IPv6; use an IPv4 address)"; break;
    default: break;
  }
  return failure(fmt::format("cannot listen on {}: {}{}", address.to_string(), errno_text(error), way_out), error);
}

}  // namespace

auto apply_stream_options(int fd, int family, const StreamOptions& options) -> Result<void> {
  if (family == AF_UNIX) return {};
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  Result<void> outcome;
  const auto set = [&](int level, int name, const char* text, int value) {
    if (!outcome || set_option(fd, level, name, value)) return;
    const int error = errno;
    outcome = failure(fmt::format("cannot set {} to {}: {} (see tcp(7) for its range)", text, value, errno_text(error)),
                      error);
  };
  set(IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", 1);
  set(SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE", 1);
  if (options.user_timeout) {
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT", rounded_up(*options.user_timeout, milliseconds{1}));
  }
  if (options.keepalive_idle) {
    set(SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", rounded_up(*options.keepalive_idle, seconds{1}));
    set(IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL", rounded_up(options.keepalive_interval, seconds{1}));
    if (options.keepalive_count) set(IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT", *options.keepalive_count);
  }
  return outcome;
}

void change_stream_options(int fd, const StreamOptions& options) {
  const auto own = local_address(fd);
  if (!own || !own->is_ip()) return;
  if (!options.user_timeout) set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
  if (!options.keepalive_idle) set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
  if (!options.keepalive_count) {
    // 0 is no value for it: the default is what a new socket has.
    const Fd fresh(::socket(own->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    int count = 0;
    socklen_t size = sizeof count;
    if (fresh && ::getsockopt(fresh.get(), IPPROTO_TCP, TCP_KEEPCNT, &count, &size) == 0) {
      set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, count);
    }
  }
  change_congestion_control(fd, options.congestion, *own);
  (void)apply_stream_options(fd, own->family(), options);
}

auto KernelSockets::make(int family) -> Result<Fd> {
  const InNamespace inside(namespace_fd_);
  if (inside.error() != 0) {
    return failure(fmt::format("cannot enter the network namespace: {}", errno_text(inside.error())), inside.error());
  }
  Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    const int error = errno;
    const bool full = error == EMFILE || error == ENFILE;
    return failure(fmt::format("cannot make a socket: {}{}", errno_text(error), full ? " (raise ulimit -n)" : ""),
                   error);
  }
  return fd;
}

auto KernelSockets::listen(const Address& address, const StreamOptions& options) -> Result<Fd> {
  auto fd = make(address.family());
  if (!fd) {
    if (fd.error().code == EAFNOSUPPORT) return listen_error(address, EAFNOSUPPORT);
    return fd;
  }
  if (address.is_ip()) set_option(fd->get(), SOL_SOCKET, SO_REUSEADDR, 1);
  // Two sockets for two families rather than mapped addresses, so that a peer's address reads as it is.
  if (address.family() == AF_INET6) set_option(fd->get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (auto set = apply_stream_options(fd->get(), address.family(), options); !set)
    return tl::make_unexpected(set.error());
  if (auto set = choose_congestion_control(fd->get(), options.congestion, address); !set)
    return tl::make_unexpected(set.error());
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  const auto* name = reinterpret_cast<const sockaddr*>(&storage);
  const auto bind_here = [&] { return ::bind(fd->get(), name, length) == 0 ? 0 : errno; };
  int error = bind_here();
  if (error == EADDRINUSE && address.unix_path() != nullptr &&
      remove_stale_socket(*address.unix_path(), name, length)) {
    error = bind_here();
  }
  if (error == 0 && ::listen(fd->get(), listen_backlog) != 0) error = errno;
  if (error != 0) return listen_error(address, error);
  return fd;
}

namespace {

auto bind_source(int fd, const Address& from) -> Result<void> {
  // Without it bind(2) would take a port for itself that other destinations cannot use (ip(7)).
  if (from.is_ip() && from.port() == 0) set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  sockaddr_storage storage;
  const socklen_t length = from.to_sockaddr(storage);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) == 0) return {};
  const int error = errno;
  return failure(fmt::format("cannot connect from {}: {}", from.to_string(), errno_text(error)), error);
}

}  // namespace

auto KernelSockets::connect(const Address& address, const StreamOptions& options, const Address* from)
    -> Result<Connecting> {
  auto fd = make(address.family());
  if (!fd) return tl::make_unexpected(fd.error());
  if (auto set = apply_stream_options(fd->get(), address.family(), options); !set)
    return tl::make_unexpected(set.error());
  if (auto set = choose_congestion_control(fd->get(), options.congestion, address); !set)
    return tl::make_unexpected(set.error());
  if (from != nullptr) {
    if (auto bound = bind_source(fd->get(), *from); !bound) return tl::make_unexpected(bound.error());
  }
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  if (::connect(fd->get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0) {
    return Connecting{*std::move(fd), true};
  }
  const int error = errno;
  if (error == EINPROGRESS || error == EINTR) return Connecting{*std::move(fd), false};
  return failure(fmt::format("{}: {}", address.to_string(), errno_text(error)), error);
}

namespace {

// The state of a TCP socket (TCP_ESTABLISHED ...), or none for another. Consumes nothing.
auto tcp_state(int fd) -> std::optional<int> {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return std::nullopt;
  return info.tcpi_state;
}

}  // namespace

auto connect_outcome(int fd) -> int {
  const auto state = tcp_state(fd);
  if (!state) return 0;  // a Unix socket connects within the call
  if (*state == TCP_SYN_SENT || *state == TCP_SYN_RECV) return EALREADY;
  if (*state != TCP_CLOSE) return 0;
  // It is over already. Asking connect(2) again would tell why, and throw away what the peer may have
  // said before it reset (tcp_disconnect() in the kernel); a look at the stream tells both apart.
  std::byte any{};
  const ssize_t n = ::recv(fd, &any, sizeof any, MSG_PEEK | MSG_DONTWAIT);
  return n >= 0 ? 0 : errno;
}

auto leads_to(int fd, const Address& target, const Address& listener) -> bool {
  if (!target.is_ip() || !listener.is_ip()) return target == listener;
  if (target.port() != listener.port()) return false;
  if (target.is_unspecified() || target.is_loopback()) return true;
  const auto here = local_address(fd);
  return here && here->host_string() == target.host_string();
}

auto local_address(int fd) -> Result<Address> {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return failure(fmt::format("cannot read a socket's address: {}", errno_text(errno)), errno);
  }
  return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

auto peer_address(int fd) -> Result<Address> {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return failure(fmt::format("cannot read a peer's address: {}", errno_text(errno)), errno);
  }
  return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

auto original_destination(int fd) -> std::optional<Address> {
  const auto local = local_address(fd);
  if (!local || !local->is_ip()) return std::nullopt;
  constexpr int so_original_dst =
      80;  // SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST; their headers clash with netinet/in.h
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  const int level = local->family() == AF_INET6 ? SOL_IPV6 : SOL_IP;
  if (::getsockopt(fd, level, so_original_dst, &storage, &length) != 0) return std::nullopt;
  auto original = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), length);
  // A connection that is tracked and was not redirected has its own address there.
  if (!original || *original == *local) return std::nullopt;
  return *std::move(original);
}

auto unsent_bytes(int fd) -> std::size_t {
  int count = 0;
  if (::ioctl(fd, SIOCOUTQ, &count) != 0 || count < 0) return 0;
  return static_cast<std::size_t>(count);
}

void acknowledge_now(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

auto connection_is_dead(int fd) -> bool { return tcp_state(fd) == TCP_CLOSE; }

void reset_on_close(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace weir::net
