#include "demo/sockets.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace weir::demo {
namespace {

auto os_failure(std::string_view doing, int code) -> Failure {
  return failure(fmt::format("{}: {}", doing, errno_text(code)), code);
}

void switch_on(int socket, int level, int option) {
  const int on = 1;
  // The demonstration runs without these too; it only measures something else, and its tests see that.
  static_cast<void>(::setsockopt(socket, level, option, &on, sizeof on));
}

auto open_socket(const Address& address, std::string_view doing) -> Result<Fd> {
  Fd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return os_failure(doing, errno);
  return socket;
}

auto resolve(const UpstreamAddress::Name& name) -> Result<std::vector<Address>> {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(name.host.c_str(), std::to_string(name.port).c_str(), &hints, &found);
  if (status != 0) {
    return failure(fmt::format("look up {}: {} (is the name spelled right?)", name.host, ::gai_strerror(status)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    auto address = Address::from_sockaddr(entry->ai_addr, entry->ai_addrlen);
    if (address) addresses.push_back(std::move(*address));
  }
  return addresses;
}

}  // namespace

auto loopback(std::uint16_t port) -> Address { return Address(Address::Ip{.bytes = {127, 0, 0, 1}, .port = port}); }

auto listen_on(const Address& address) -> Result<Fd> {
  const auto doing = fmt::format("listen {}", address.to_string());
  auto socket = open_socket(address, doing);
  if (!socket) return socket;
  switch_on(socket->get(), SOL_SOCKET, SO_REUSEADDR);
  if (address.family() == AF_INET6) switch_on(socket->get(), IPPROTO_IPV6, IPV6_V6ONLY);
  sockaddr_storage storage{};
  const socklen_t length = address.to_sockaddr(storage);
  if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 ||
      ::listen(socket->get(), SOMAXCONN) != 0) {
    return os_failure(doing, errno);
  }
  return set_non_blocking(socket->get()).map([&] { return std::move(*socket); });
}

auto local_address(int socket) -> Result<Address> {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &length) != 0)
    return os_failure("getsockname", errno);
  return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length);
}

auto accept_one(int listener) -> Result<std::optional<Fd>> {
  for (;;) {
    Fd client(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (client) return std::optional<Fd>(std::move(client));
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::optional<Fd>{};
    // The client in front gave up before it was accepted, or a signal came: take the next one.
    if (errno != ECONNABORTED && errno != EPROTO && errno != EINTR) return os_failure("accept", errno);
  }
}

auto connect_to(const Address& address, std::chrono::milliseconds timeout) -> Result<Fd> {
  const auto doing = fmt::format("connect {}", address.to_string());
  auto socket = open_socket(address, doing);
  if (!socket) return socket;
  // socket(7): SO_SNDTIMEO also bounds connect(2), which then fails with EINPROGRESS.
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timeval limit{.tv_sec = seconds.count(), .tv_usec = std::chrono::microseconds(timeout - seconds).count()};
  if (::setsockopt(socket->get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) return os_failure(doing, errno);
  sockaddr_storage storage{};
  const socklen_t length = address.to_sockaddr(storage);
  if (::connect(socket->get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    return os_failure(doing, errno == EINPROGRESS ? ETIMEDOUT : errno);
  }
  return socket;
}

auto connect_to(const UpstreamAddress& upstream, std::chrono::milliseconds timeout) -> Result<Fd> {
  if (const auto* address = std::get_if<Address>(&upstream.target)) return connect_to(*address, timeout);
  const auto addresses = resolve(std::get<UpstreamAddress::Name>(upstream.target));
  if (!addresses) return Failure(addresses.error());
  Result<Fd> last = failure(fmt::format("connect {}: the name has no address", upstream.text));
  for (const Address& address : *addresses) {
    last = connect_to(address, timeout);
    if (last) return last;
  }
  return last;
}

auto set_non_blocking(int socket) -> Result<void> {
  const int flags = ::fcntl(socket, F_GETFL);
  if (flags < 0 || ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0) return os_failure("fcntl O_NONBLOCK", errno);
  return {};
}

void set_no_delay(int socket) { switch_on(socket, IPPROTO_TCP, TCP_NODELAY); }

void acknowledge_at_once(int socket) { switch_on(socket, IPPROTO_TCP, TCP_QUICKACK); }

}  // namespace weir::demo
