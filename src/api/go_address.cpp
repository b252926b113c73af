#include "api/go_address.h"

#include <charconv>

#include "api/hosts_file.h"

namespace weir::api {
namespace {

struct HostPort {
  std::string_view host;
  std::string_view port;
};

// Go's net.SplitHostPort, with its texts.
auto split(std::string_view text) -> Result<HostPort> {
  const auto bad = [&](std::string_view why) { return failure(fmt::format("address {}: {}", text, why)); };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("missing port in address");
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return bad("missing ']' in address");
    if (close + 1 == text.size()) return bad("missing port in address");
    if (close + 1 != colon)
      return bad(text[close + 1] == ':' ? "too many colons in address" : "missing port in address");
    return HostPort{text.substr(1, close - 1), text.substr(colon + 1)};
  }
  if (text.find(':') != colon) return bad("too many colons in address");
  return HostPort{text.substr(0, colon), text.substr(colon + 1)};
}

auto addresses_of(std::string_view text) -> Result<ListenAddress> {
  if (text.empty()) return ListenAddress::parse(":0");
  const auto parts = split(text);
  if (!parts) return tl::make_unexpected(parts.error());
  unsigned port = 0;
  if (!parts->port.empty()) {
    const auto [end, error] = std::from_chars(parts->port.data(), parts->port.data() + parts->port.size(), port);
    if (error == std::errc::invalid_argument || end != parts->port.data() + parts->port.size()) {
      return failure(fmt::format("lookup tcp/{}: unknown port", parts->port));
    }
    if (error != std::errc{} || port > 65535) return failure(fmt::format("address {}: invalid port", parts->port));
  }
  const std::string_view host = parts->host;
  if (host.empty() || host == "0.0.0.0" || host == "::") return ListenAddress::parse(fmt::format(":{}", port));
  const auto number = static_cast<std::uint16_t>(port);
  auto address = Address::parse_ip(host == "localhost" ? "127.0.0.1" : host, number);
  if (!address) {
    const auto named = find_in_hosts(host, number);
    if (!named) return failure(fmt::format("lookup {}: no such host", host));
    address = *named;
  }
  return ListenAddress{.addresses = {*address}, .text = {}};
}

}  // namespace

auto parse_go_listen(std::string_view text) -> Result<ListenAddress> {
  auto listen = addresses_of(text);
  if (listen) listen->text = text;
  return listen;
}

auto parse_go_upstream(std::string_view text) -> UpstreamAddress {
  if (!text.starts_with("unix:")) {
    if (auto parsed = UpstreamAddress::parse(text)) return *std::move(parsed);
    // Go's Dial takes no host as this machine.
    if (text.starts_with(':')) {
      if (auto parsed = UpstreamAddress::parse("127.0.0.1" + std::string(text))) {
        parsed->text = text;
        return *std::move(parsed);
      }
    }
  }
  // Port 0 refuses at once.
  return {.target = *Address::parse_ip("127.0.0.1", 0), .text = std::string(text)};
}

auto go_listen_error(const ListenAddress& listen, const Error& error) -> std::string {
  if (error.code == 0) return error.message;
  std::string why = errno_text(error.code);
  if (!why.empty() && why[0] >= 'A' && why[0] <= 'Z') why[0] = static_cast<char>(why[0] - 'A' + 'a');
  return fmt::format("listen tcp {}: bind: {}", listen.canonical(), why);
}

}  // namespace weir::api
