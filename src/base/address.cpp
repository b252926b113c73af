#include "base/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

namespace weir {
namespace {

constexpr std::size_t longest_unix_path = sizeof(sockaddr_un::sun_path) - 1;  // unix(7): 108 with the NUL

auto parse_port(std::string_view text) -> std::optional<std::uint16_t> {
  unsigned value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || stop != text.data() + text.size() || value > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

auto parse_unix(std::string_view whole, std::string_view path) -> Result<Address> {
  if (path.empty() || path == "@") {
    return failure(fmt::format("\"{}\" names no path: write unix:/path/to.sock", whole));
  }
  if (path.size() > longest_unix_path) {
    return failure(fmt::format("\"{}\": a Unix socket path has at most {} bytes, this one has {}", whole,
                               longest_unix_path, path.size()));
  }
  if (path.find('\0') != std::string_view::npos) return failure("a Unix socket path cannot hold a NUL byte");
  return Address(Address::Unix{std::string(path)});
}

struct HostPort {
  std::string_view host;
  std::uint16_t port = 0;
  bool bracketed = false;
};

// "host:port" or "[v6]:port"; `forms` is the hint of what the caller accepts.
auto split_host_port(std::string_view text, std::string_view forms) -> Result<HostPort> {
  const auto bad = [&](std::string_view why) {
    return failure(fmt::format("\"{}\" is not an address: {}; write {}", text, why, forms));
  };
  HostPort out;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return bad("\"[\" is not closed");
    out.host = text.substr(1, close - 1);
    out.bracketed = true;
    if (close + 1 >= text.size() || text[close + 1] != ':') return bad("no :port after \"]\"");
    port = text.substr(close + 2);
  } else {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
      const bool number = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
      if (!number) return bad("no :port");
      return bad(parse_port(text) ? "a port alone names no host" : "a port is a number from 0 to 65535");
    }
    out.host = text.substr(0, colon);
    if (out.host.find(':') != std::string_view::npos) return bad("an IPv6 address needs brackets, as in [::1]:8888");
    port = text.substr(colon + 1);
  }
  const auto number = parse_port(port);
  if (!number) return bad(fmt::format("port \"{}\" is not a number from 0 to 65535", port));
  out.port = *number;
  return out;
}

auto valid_host_name(std::string_view host) -> bool {
  if (host.empty() || host.size() > 253) return false;  // RFC 1035 section 2.3.4
  return std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
           c == '_';
  });
}

constexpr std::string_view listen_forms = "8888, :8888, host:port, [v6]:port or unix:/path";
constexpr std::string_view upstream_forms = "host:port, [v6]:port or unix:/path";

auto any_ipv4(std::uint16_t port) -> Address { return Address(Address::Ip{.port = port}); }
auto any_ipv6(std::uint16_t port) -> Address { return Address(Address::Ip{.port = port, .v6 = true}); }
auto loopback_ipv4(std::uint16_t port) -> Address {
  return Address(Address::Ip{.bytes = {127, 0, 0, 1}, .port = port});
}
auto loopback_ipv6(std::uint16_t port) -> Address {
  Address::Ip ip{.port = port, .v6 = true};
  ip.bytes[15] = 1;
  return Address(ip);
}

}  // namespace

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

auto ListenAddress::parse(std::string_view text) -> Result<ListenAddress> {
  ListenAddress out;
  out.text = std::string(text);
  if (text.starts_with("unix:")) {
    return parse_unix(text, text.substr(5)).map([&](Address address) {
      out.addresses.push_back(std::move(address));
      return out;
    });
  }
  if (const auto port = parse_port(text)) {
    out.addresses = {loopback_ipv4(*port)};
    return out;
  }
  const auto parts = split_host_port(text, listen_forms);
  if (!parts) return tl::make_unexpected(parts.error());
  if (parts->host.empty() && !parts->bracketed) {
    out.addresses = {any_ipv6(parts->port), any_ipv4(parts->port)};
    return out;
  }
  if (parts->host == "localhost") {
    out.addresses = {loopback_ipv4(parts->port), loopback_ipv6(parts->port)};
    return out;
  }
  auto address = Address::parse_ip(parts->host, parts->port);
  if (!address) {
    return failure(fmt::format("\"{}\": {}, and names are not looked up for listening; write {}", text,
                               address.error().message, listen_forms));
  }
  out.addresses = {*std::move(address)};
  return out;
}

auto ListenAddress::canonical() const -> std::string {
  if (addresses.size() == 1) return addresses[0].to_string();
  const bool all = addresses[0].ip()->bytes == Address::Ip{}.bytes;
  return fmt::format("{}:{}", all ? "" : "localhost", addresses[0].port());
}

auto ListenAddress::at_port(std::uint16_t port) const -> ListenAddress {
  ListenAddress out;
  for (const Address& each : addresses) {
    if (!each.is_ip()) return *this;
    Address::Ip ip = *each.ip();
    ip.port = port;
    out.addresses.emplace_back(ip);
  }
  out.text = out.canonical();
  return out;
}

auto UpstreamAddress::parse(std::string_view text) -> Result<UpstreamAddress> {
  if (text.starts_with("unix:")) {
    return parse_unix(text, text.substr(5)).map([&](Address address) {
      return UpstreamAddress{std::move(address), std::string(text)};
    });
  }
  const auto parts = split_host_port(text, upstream_forms);
  if (!parts) return tl::make_unexpected(parts.error());
  if (parts->port == 0) return failure(fmt::format("\"{}\": an upstream port is a number from 1 to 65535", text));
  if (auto address = Address::parse_ip(parts->host, parts->port)) {
    return UpstreamAddress{*std::move(address), std::string(text)};
  }
  if (parts->bracketed || !valid_host_name(parts->host)) {
    return failure(fmt::format("\"{}\": \"{}\" is neither an IP address nor a host name; write {}", text, parts->host,
                               upstream_forms));
  }
  return UpstreamAddress{UpstreamAddress::Name{std::string(parts->host), parts->port}, std::string(text)};
}

}  // namespace weir
