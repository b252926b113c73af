#include "base/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace weir {

static_assert(longest_unix_path == sizeof(sockaddr_un::sun_path) - 1);

auto Address::parse_ip(std::string_view host, std::uint16_t port) -> Result<Address> {
  const auto bad = [host] { return failure(fmt::format("\"{}\" is not a numeric IP address", host)); };
  Ip ip{.port = port};
  const std::string plain(host.substr(0, host.find('%')));
  if (::inet_pton(AF_INET, plain.c_str(), ip.bytes.data()) == 1) {
    return plain.size() == host.size() ? Result<Address>(Address(ip)) : bad();
  }
  ip.v6 = true;
  if (::inet_pton(AF_INET6, plain.c_str(), ip.bytes.data()) != 1) return bad();
  if (plain.size() < host.size()) {
    const std::string zone(host.substr(plain.size() + 1));
    ip.scope = ::if_nametoindex(zone.c_str());
    if (ip.scope == 0) {
      const auto [stop, error] = std::from_chars(zone.data(), zone.data() + zone.size(), ip.scope);
      if (error != std::errc{} || stop != zone.data() + zone.size() || ip.scope == 0) {
        return failure(fmt::format("\"{}\": there is no network interface \"{}\" here", host, zone));
      }
    }
  }
  return Address(ip);
}

auto Address::from_sockaddr(const sockaddr* address, socklen_t length) -> Result<Address> {
  if (length < static_cast<socklen_t>(sizeof(sa_family_t))) return Address(Unix{});  // an unnamed Unix peer
  switch (address->sa_family) {
    case AF_INET: {
      sockaddr_in in{};
      std::memcpy(&in, address, sizeof in);
      Ip ip{.port = ntohs(in.sin_port)};
      std::memcpy(ip.bytes.data(), &in.sin_addr, 4);
      return Address(ip);
    }
    case AF_INET6: {
      sockaddr_in6 in{};
      std::memcpy(&in, address, sizeof in);
      Ip ip{.scope = in.sin6_scope_id, .port = ntohs(in.sin6_port), .v6 = true};
      std::memcpy(ip.bytes.data(), &in.sin6_addr, 16);
      return Address(ip);
    }
    case AF_UNIX: {
      constexpr auto header = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path));
      if (length <= header) return Address(Unix{});
      sockaddr_un un{};
      std::memcpy(&un, address, std::min<std::size_t>(length, sizeof un));
      std::string path(un.sun_path, std::min<std::size_t>(length - header, sizeof un.sun_path));
      if (path.front() == '\0') {
        path.front() = '@';
      } else {
        path.resize(std::strlen(path.c_str()));
      }
      return Address(Unix{std::move(path)});
    }
    default: return failure(fmt::format("address family {} is not IPv4, IPv6 or Unix", address->sa_family));
  }
}

auto Address::to_sockaddr(sockaddr_storage& storage) const -> socklen_t {
  storage = sockaddr_storage{};
  if (const auto* path = unix_path()) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    const std::size_t size = std::min(path->size(), longest_unix_path);
    std::memcpy(un.sun_path, path->data(), size);
    if (size == 0) {  // unnamed: the family alone (unix(7)); a NUL more would be an abstract name
      std::memcpy(&storage, &un, sizeof un);
      return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path));
    }
    const bool abstract = path->front() == '@';
    if (abstract) un.sun_path[0] = '\0';
    std::memcpy(&storage, &un, sizeof un);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size + (abstract ? 0 : 1));
  }
  const Ip& ip = std::get<Ip>(value_);
  if (ip.v6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(ip.port);
    in.sin6_scope_id = ip.scope;
    std::memcpy(&in.sin6_addr, ip.bytes.data(), 16);
    std::memcpy(&storage, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(ip.port);
  std::memcpy(&in.sin_addr, ip.bytes.data(), 4);
  std::memcpy(&storage, &in, sizeof in);
  return sizeof in;
}

auto Address::family() const -> int {
  if (!is_ip()) return AF_UNIX;
  return ip()->v6 ? AF_INET6 : AF_INET;
}

auto Address::port() const -> std::uint16_t { return is_ip() ? ip()->port : std::uint16_t{0}; }

auto Address::unix_path() const -> const std::string* {
  const auto* un = std::get_if<Unix>(&value_);
  return un != nullptr ? &un->path : nullptr;
}

auto Address::is_loopback() const -> bool {
  if (!is_ip()) return false;
  const auto& [bytes, scope, port, v6] = *ip();
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::array<std::uint8_t, 16> one{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  if (!v6) return bytes[0] == 127;
  return bytes == one || (std::equal(mapped.begin(), mapped.end(), bytes.begin()) && bytes[12] == 127);
}

auto Address::is_unspecified() const -> bool { return is_ip() && ip()->bytes == std::array<std::uint8_t, 16>{}; }

auto Address::host_string() const -> std::string {
  if (const auto* path = unix_path()) return "unix:" + *path;
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family(), ip()->bytes.data(), text.data(), text.size());
  std::string out(text.data());
  if (ip()->scope != 0) {
    std::array<char, IF_NAMESIZE> name{};
    out += ::if_indextoname(ip()->scope, name.data()) != nullptr ? fmt::format("%{}", name.data())
                                                                 : fmt::format("%{}", ip()->scope);
  }
  return out;
}

auto Address::to_string() const -> std::string {
  if (!is_ip()) return host_string();
  return ip()->v6 ? fmt::format("[{}]:{}", host_string(), port()) : fmt::format("{}:{}", host_string(), port());
}

}  // namespace weir
