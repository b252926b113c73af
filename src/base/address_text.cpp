#include "base/address_text.h"

#include <charconv>
#include <string>
#include <system_error>

namespace weir {

auto parse_port(std::string_view text) -> std::optional<std::uint16_t> {
  unsigned value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || stop != text.data() + text.size() || value > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

auto parse_unix_path(std::string_view whole, std::string_view path) -> Result<Address> {
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

}  // namespace weir
