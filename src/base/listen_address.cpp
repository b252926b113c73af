#include "base/listen_address.h"

#include <utility>

#include "base/address_text.h"

namespace weir {
namespace {

constexpr std::string_view listen_forms = "8888, :8888, host:port, [v6]:port or unix:/path";

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

auto ListenAddress::parse(std::string_view text) -> Result<ListenAddress> {
  ListenAddress out;
  out.text = std::string(text);
  if (text.starts_with("unix:")) {
    return parse_unix_path(text, text.substr(5)).map([&](Address address) {
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

}  // namespace weir
