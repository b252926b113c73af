#include "base/upstream_address.h"

#include <algorithm>
#include <utility>

#include "base/address_text.h"

namespace weir {
namespace {

constexpr std::string_view upstream_forms = "host:port, [v6]:port or unix:/path";

auto valid_host_name(std::string_view host) -> bool {
  if (host.empty() || host.size() > 253) return false;  // RFC 1035 section 2.3.4
  return std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
           c == '_';
  });
}

}  // namespace

auto UpstreamAddress::parse(std::string_view text) -> Result<UpstreamAddress> {
  if (text.starts_with("unix:")) {
    return parse_unix_path(text, text.substr(5)).map([&](Address address) {
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
