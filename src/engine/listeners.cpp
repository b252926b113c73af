#include "engine/listeners.h"

#include <unistd.h>

#include <cerrno>

#include "net/descriptors.h"
#include "net/socket.h"

namespace weir::engine {
namespace {

// Binds all of `wanted`; the port that the kernel picks for the first family serves the second too.
auto bind_all(const ListenAddress& wanted, net::SocketFactory& sockets, const net::StreamOptions& options,
              Listeners& listeners) -> Result<Address> {
  std::optional<Address> bound;
  for (const Address& each : wanted.addresses) {
    Address address = each;
    if (bound && address.is_ip()) {
      Address::Ip ip = *address.ip();
      ip.port = bound->port();
      address = Address(ip);
    }
    auto listener = sockets.listen(address, options);
    if (listener && net::is_kept_descriptor(listener->get())) {
      if (const auto* path = address.unix_path(); path != nullptr && !path->starts_with('@')) ::unlink(path->c_str());
      return failure(
          "too few descriptors are left for another proxy: raise the limit of open files (ulimit -n; "
          "LimitNOFILE= of a unit)",
          EMFILE);
    }
    if (!listener) {
      // One of two families may be missing on this machine.
      const bool family_missing = listener.error().code == EAFNOSUPPORT || listener.error().code == EADDRNOTAVAIL;
      if (wanted.addresses.size() > 1 && family_missing && (&each != &wanted.addresses.back() || bound)) continue;
      return tl::make_unexpected(listener.error());
    }
    if (const auto* path = address.unix_path(); path != nullptr && !path->starts_with('@')) {
      listeners.unix_paths.push_back(*path);
    }
    auto here = net::local_address(listener->get());
    if (!here) return here;
    bound = *std::move(here);
    listeners.sockets.push_back(std::make_shared<const Fd>(*std::move(listener)));
  }
  return *bound;
}

}  // namespace

auto make_listeners(const ListenAddress& wanted, std::optional<int> network_namespace,
                    const net::StreamOptions& options) -> Result<Listeners> {
  Listeners listeners;
  net::KernelSockets sockets(network_namespace);
  std::vector<Listeners> taken;  // kept meanwhile, so that the kernel picks another port each time
  while (true) {
    const auto bound = bind_all(wanted, sockets, options, listeners);
    if (bound) {
      listeners.where = wanted.at_port(bound->port());
      return listeners;
    }
    // The port that was free in one family may be in use in the other.
    constexpr std::size_t most_tries = 16;
    const bool picked = wanted.addresses.front().port() == 0 && !listeners.sockets.empty();
    if (!picked || bound.error().code != EADDRINUSE || taken.size() == most_tries) {
      return tl::make_unexpected(bound.error());
    }
    taken.push_back(std::exchange(listeners, {}));
  }
}

}  // namespace weir::engine
