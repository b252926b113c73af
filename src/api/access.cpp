#include "api/access.h"

#include <arpa/inet.h>

#include <algorithm>

#include "control/json.h"

namespace weir::api {
namespace {

auto same_ignoring_case(std::string_view a, std::string_view lower) -> bool {
  return std::ranges::equal(a, lower, {},
                            [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
}

auto is_loopback(const Address& address) -> bool {
  const auto* ip = address.ip();
  if (ip == nullptr) return true;  // a Unix socket
  const std::array<std::uint8_t, 16> one{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return ip->v6 ? ip->bytes == one : ip->bytes[0] == 127;
}

auto refused(int status, const std::string& why) -> http::Response {
  http::Response answer;
  answer.status = status;
  answer.set("Content-Type", "application/json");
  if (status == 401) answer.set("WWW-Authenticate", "Bearer");
  answer.body = control::Json{{"error", why}, {"status", status}}.dump() + "\n";
  return answer;
}

// "Bearer TOKEN": the scheme in any case, and one space or more (RFC 9110, 11.1 and 11.4).
auto bearer_token(std::string_view header) -> std::optional<std::string_view> {
  constexpr std::string_view scheme = "bearer";
  if (!same_ignoring_case(header.substr(0, scheme.size()), scheme)) return std::nullopt;
  const auto token = header.find_first_not_of(' ', scheme.size());
  if (token == std::string_view::npos || token == scheme.size()) return std::nullopt;
  return header.substr(token);
}

// The time does not tell how much of it was right.
auto same_secret(std::string_view given, std::string_view secret) -> bool {
  unsigned different = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < secret.size(); ++i) {
    different |= static_cast<unsigned char>(secret[i]) ^ static_cast<unsigned char>(i < given.size() ? given[i] : 0);
  }
  return different == 0;
}

// A page on the web may make a name of its own point here (DNS rebinding); its Host then gives it away. Names that only
// begin as ours do, such as 127.0.0.1.example, are such names.
auto is_local_host(std::string_view host) -> bool {
  const auto name = host.starts_with('[') ? host.substr(0, host.find(']') + 1) : host.substr(0, host.find(':'));
  const auto port = host.substr(name.size());
  if (!port.empty() && (port[0] != ':' || port.find_first_not_of("0123456789", 1) != std::string_view::npos))
    return false;
  if (same_ignoring_case(name, "localhost") || name == "[::1]") return true;  // RFC 9110, 4.2.3
  in_addr ip{};
  constexpr std::uint32_t net_127 = 127U << 24U;
  return ::inet_pton(AF_INET, std::string(name).c_str(), &ip) == 1 && (ntohl(ip.s_addr) & 0xff000000U) == net_127;
}

}  // namespace

auto family_of(std::string_view path) -> RouteFamily {
  return path == "/metrics" || path == "/api" || path.starts_with("/api/") ? RouteFamily::native
                                                                           : RouteFamily::toxiproxy;
}

auto make_rules(const std::vector<Address>& bound, std::string token, bool compat_open) -> Result<AccessRules> {
  AccessRules rules{.token = std::move(token), .compat_open = compat_open};
  rules.local = std::ranges::all_of(bound, is_loopback);
  rules.unix_socket = std::ranges::all_of(bound, [](const Address& each) { return !each.is_ip(); });
  if (!rules.local && rules.token.empty() && !compat_open) {
    return failure(
        "the API would be open to other machines: listen on 127.0.0.1 or a Unix socket, set a token (WEIR_TOKEN), or "
        "let --compat-open open toxiproxy's routes alone");
  }
  return rules;
}

auto why_refused(const AccessRules& rules, const http::Request& request) -> std::optional<http::Response> {
  if (rules.metrics_open && request.path == "/metrics") return std::nullopt;
  const bool native = family_of(request.path) == RouteFamily::native;
  if (!rules.token.empty()) {
    const auto given = bearer_token(request.header("authorization"));
    const bool right = given && same_secret(*given, rules.token);
    if (!right && (native || !rules.compat_open))
      return refused(401, "this needs the header Authorization: Bearer TOKEN");
  } else if (native && !rules.local) {
    return refused(401, "this is closed to the network until weir is started with a token (WEIR_TOKEN)");
  }
  if (!native) return std::nullopt;
  const auto host = request.header("host");
  if (rules.local && !rules.unix_socket && !is_local_host(host)) {
    return refused(403, "the Host is not this machine: use localhost or 127.0.0.1");
  }
  const auto origin = request.header("origin");
  if (!origin.empty() && origin != "http://" + std::string(host) && origin != "https://" + std::string(host)) {
    return refused(403, "a page of another origin may not use this");
  }
  return std::nullopt;
}

}  // namespace weir::api
