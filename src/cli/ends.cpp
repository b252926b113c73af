#include "cli/ends.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "cli/usage_error.h"

namespace weir::cli {
namespace {

// The ports that URLs leave out, by IANA's registry.
constexpr std::array<std::pair<std::string_view, std::uint16_t>, 16> default_ports{{{"http", 80},
                                                                                    {"https", 443},
                                                                                    {"ws", 80},
                                                                                    {"wss", 443},
                                                                                    {"redis", 6379},
                                                                                    {"rediss", 6379},
                                                                                    {"postgres", 5432},
                                                                                    {"postgresql", 5432},
                                                                                    {"mysql", 3306},
                                                                                    {"mongodb", 27017},
                                                                                    {"amqp", 5672},
                                                                                    {"amqps", 5671},
                                                                                    {"mqtt", 1883},
                                                                                    {"memcached", 11211},
                                                                                    {"nats", 4222},
                                                                                    {"ssh", 22}}};

auto is_port(std::string_view text) -> bool {
  return !text.empty() && text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// The address in a URL (RFC 3986 section 3.2), without user and path; what is no URL as it is.
auto address_in(const std::string& text) -> Result<std::string> {
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string::npos) return text;
  const std::string scheme = text.substr(0, scheme_end);
  std::string address = text.substr(scheme_end + 3);
  if (scheme == "unix") return "unix:" + address;
  address = address.substr(0, address.find_first_of("/?#"));
  if (const auto user = address.rfind('@'); user != std::string::npos) address.erase(0, user + 1);
  const auto bracket = address.rfind(']');
  const auto colon = address.rfind(':');
  if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) return address;
  const auto* known = std::ranges::find(default_ports, scheme, &std::pair<std::string_view, std::uint16_t>::first);
  if (known != default_ports.end() && !address.empty()) return fmt::format("{}:{}", address, known->second);
  return failure(fmt::format("\"{}\": it names no port: write host:port", text));
}

}  // namespace

auto upstream_word(const std::string& text) -> Result<std::string> {
  if (is_port(text)) return "localhost:" + text;
  return address_in(text);
}

auto listen_word(const std::string& text) -> Result<std::string> { return address_in(text); }

auto parse_ends(const std::string& command, const std::string& listen, const std::optional<std::string>& upstream)
    -> Result<Ends> {
  if (!upstream) {
    const auto word = is_port(listen) ? Result<std::string>(listen) : upstream_word(listen);
    const auto only = word ? UpstreamAddress::parse(*word) : Result<UpstreamAddress>(tl::make_unexpected(word.error()));
    if (only) return Ends{*ListenAddress::parse("0"), *only};
    return failure(fmt::format("UPSTREAM is missing: write where \"{}\" leads to, such as weir {} {} localhost:5432",
                               listen, command, is_port(listen) ? listen : "8888"));
  }
  const auto from = in_option(
      "LISTEN", listen_word(listen).and_then([](const std::string& word) { return ListenAddress::parse(word); }));
  if (!from) return tl::make_unexpected(from.error());
  const auto to = in_option("UPSTREAM", upstream_word(*upstream).and_then(
                                            [](const std::string& word) { return UpstreamAddress::parse(word); }));
  if (!to) return tl::make_unexpected(to.error());
  return Ends{*from, *to};
}

}  // namespace weir::cli
