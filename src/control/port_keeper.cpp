#include "control/port_keeper.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace weir::control {

auto PortKeeper::keep(const ListenAddress& address) -> PortKeeper {
  PortKeeper keeper;
  for (const Address& each : address.addresses) {
    if (!each.is_ip() || each.port() == 0) continue;
    Fd fd(::socket(each.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) continue;
    // Who binds the same port later must say so too (our listener does not: this goes first), and what the
    // kernel picks for others is never a port that somebody has bound.
    const int one = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (each.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    sockaddr_storage storage;
    const socklen_t length = each.to_sockaddr(storage);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0) {
      keeper.sockets_.push_back(std::move(fd));
    }
  }
  return keeper;
}

}  // namespace weir::control
