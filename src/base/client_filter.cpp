#include "base/client_filter.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>

namespace weir {
namespace {

using Ipv6Bytes = std::array<std::uint8_t, 16>;
constexpr unsigned mapped_bits = 96;

auto as_ipv6(const Address::Ip& ip) -> Ipv6Bytes {
  if (ip.v6) return ip.bytes;
  Ipv6Bytes mapped{};
  mapped[10] = mapped[11] = 0xff;
  std::copy_n(ip.bytes.begin(), 4, mapped.begin() + 12);
  return mapped;
}

auto same_network(const Ipv6Bytes& a, const Ipv6Bytes& b, unsigned prefix) -> bool {
  const auto whole = static_cast<std::ptrdiff_t>(prefix / 8);
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  if (prefix % 8 == 0) return true;
  const unsigned mask = 0xff00U >> (prefix % 8) & 0xff;
  const auto next = static_cast<std::size_t>(whole);
  return (a[next] & mask) == (b[next] & mask);
}

auto parse_prefix(std::string_view text, unsigned most) -> std::optional<unsigned> {
  unsigned value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || stop != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

}  // namespace

auto ClientFilter::parse(std::string_view text) -> Result<ClientFilter> {
  const auto bad = [text](std::string_view why) {
    return failure(
        fmt::format("\"{}\" is not a client to filter by: {}; write an address such as 192.0.2.7 or ::1, "
                    "a network such as 192.0.2.0/24, or unix",
                    text, why));
  };
  ClientFilter filter;
  if (text == "unix") {
    filter.unix_ = true;
    return filter;
  }
  const auto slash = text.find('/');
  std::string_view host = text.substr(0, slash);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const auto address = Address::parse_ip(host, 0);
  if (!address) return bad(address.error().message);
  const Address::Ip& ip = *address->ip();
  filter.network_ = as_ipv6(ip);
  filter.scope_ = ip.scope;
  if (slash != std::string_view::npos) {
    const unsigned most = ip.v6 ? 128 : 32;
    const auto prefix = parse_prefix(text.substr(slash + 1), most);
    if (!prefix) return bad(fmt::format("the prefix length \"{}\" is not 0 to {}", text.substr(slash + 1), most));
    filter.prefix_ = ip.v6 ? *prefix : mapped_bits + *prefix;
  }
  return filter;
}

auto ClientFilter::matches(const Address& client) const -> bool {
  const Address::Ip* ip = client.ip();
  if (unix_ || ip == nullptr) return unix_ && ip == nullptr;
  if (scope_ != 0 && ip->scope != scope_) return false;
  return same_network(network_, as_ipv6(*ip), prefix_);
}

}  // namespace weir
