#include "proxy/handshakes/proxy_protocol.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <vector>

namespace weir::proxy {
namespace {

using Outcome = Result<std::variant<HeaderIncomplete, ProxyHeader>>;

constexpr std::string_view v1_begin = "PROXY ";
constexpr std::string_view v2_begin{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t v1_limit = 107;  // with CR LF
constexpr std::size_t v2_fixed = 16;   // signature, version and command, family and transport, length
constexpr std::size_t v2_unix_path = 108;

auto text_of(std::span<const std::byte> bytes) -> std::string_view {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

auto big_endian_16(std::string_view at) -> std::uint16_t {
  return static_cast<std::uint16_t>((static_cast<unsigned char>(at[0]) << 8) | static_cast<unsigned char>(at[1]));
}

auto port_of(std::string_view text) -> std::optional<std::uint16_t> {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  // One form for one value: no sign, no leading zero.
  if (error != std::errc{} || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0')) return {};
  return port;
}

// "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443", without CR LF.
auto read_v1_line(std::string_view line) -> Result<ProxyHeader> {
  const ProxyHeader unknown{.client = std::nullopt, .size = line.size() + 2};
  std::vector<std::string_view> words;
  for (std::size_t begin = v1_begin.size();;) {
    const auto end = std::min(line.find(' ', begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    if (end == line.size()) break;
    begin = end + 1;
  }
  if (words[0] == "UNKNOWN") return unknown;  // whatever follows
  const bool v4 = words[0] == "TCP4";
  if ((!v4 && words[0] != "TCP6") || words.size() != 5)
    return failure("its PROXY header is not \"TCP4\" or \"TCP6\", two addresses and two ports");
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    const auto address = Address::parse_ip(words[i], 0);
    if (!address || (address->family() == AF_INET) != v4) {
      return failure(fmt::format("its PROXY header has no {} address at \"{}\"", v4 ? "IPv4" : "IPv6", words[i]));
    }
  }
  const auto port = port_of(words[3]);
  if (!port || !port_of(words[4])) return failure("its PROXY header has a port that is no number up to 65535");
  return ProxyHeader{.client = Address::parse_ip(words[1], *port).value(), .size = unknown.size};
}

auto read_v1(std::string_view bytes) -> Outcome {
  const auto end = bytes.substr(0, v1_limit).find("\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() < v1_limit) return HeaderIncomplete{};
    return failure(fmt::format("its PROXY header has no end within {} bytes", v1_limit));
  }
  auto header = read_v1_line(bytes.substr(0, end));
  if (!header) return tl::make_unexpected(header.error());
  return *header;
}

// The address block of a version 2 header, of the size that its family has.
auto client_of_v2(unsigned char family, std::string_view block) -> std::optional<Address> {
  if (family == 1) {
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, block.data(), text.data(), text.size());
    return Address::parse_ip(text.data(), big_endian_16(block.substr(8))).value();
  }
  if (family == 2) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(AF_INET6, block.data(), text.data(), text.size());
    return Address::parse_ip(text.data(), big_endian_16(block.substr(32))).value();
  }
  const std::string_view path = block.substr(0, v2_unix_path);
  return Address(Address::Unix{std::string(path.substr(0, path.find('\0')))});
}

auto read_v2(std::string_view bytes) -> Outcome {
  if (bytes.size() < v2_fixed) return HeaderIncomplete{};
  const auto version = static_cast<unsigned char>(bytes[12]) >> 4;
  const auto command = static_cast<unsigned char>(bytes[12]) & 0xf;
  const auto family = static_cast<unsigned char>(static_cast<unsigned char>(bytes[13]) >> 4);
  const auto transport = static_cast<unsigned char>(bytes[13]) & 0xf;
  const std::size_t length = big_endian_16(bytes.substr(14));
  if (version != 2) return failure(fmt::format("its PROXY header is of version {}; 1 and 2 are known", version));
  if (command > 1) return failure(fmt::format("its PROXY header has the command {}, which is unknown", command));
  if (family > 3 || transport > 2) return failure("its PROXY header has a family or transport that is unknown");
  // LOCAL: the sender speaks for itself, as with health checks. The length counts all the same.
  const bool has_address = command == 1 && family != 0 && transport == 1;
  if (!has_address) return ProxyHeader{.client = std::nullopt, .size = v2_fixed, .rest = length};
  const std::size_t needed = family == 1 ? 12 : family == 2 ? 36 : 2 * v2_unix_path;
  if (length < needed) {
    return failure(fmt::format("its PROXY header says {} bytes where its addresses take {}", length, needed));
  }
  if (bytes.size() < v2_fixed + needed) return HeaderIncomplete{};
  return ProxyHeader{.client = client_of_v2(family, bytes.substr(v2_fixed, needed)),
                     .size = v2_fixed + needed,
                     .rest = length - needed};
}

// For a message: what is not printable ASCII as a dot.
auto shown(std::string_view bytes) -> std::string {
  std::string text(bytes);
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c > '~' || c == '"'; }, '.');
  return text;
}

auto begins_alike(std::string_view bytes, std::string_view begin) -> bool {
  const auto both = std::min(bytes.size(), begin.size());
  return bytes.substr(0, both) == begin.substr(0, both);
}

}  // namespace

auto read_proxy_header(std::span<const std::byte> bytes) -> Outcome {
  const std::string_view text = text_of(bytes);
  if (begins_alike(text, v1_begin)) return read_v1(text);
  if (begins_alike(text, v2_begin)) return read_v2(text);
  constexpr std::size_t enough = 16;
  return failure(fmt::format("it began with \"{}\" and not with a PROXY header", shown(text.substr(0, enough))));
}

void ProxyProtocol::on_accepted(HandshakeContext& context) {
  context.wait(event::TimeoutName::handshake, context.accepted().time);
}

void ProxyProtocol::on_bytes(HandshakeContext& context, LegName from) {
  if (from != LegName::client) return;
  if (!is_read_) {
    auto outcome = read_proxy_header(context.bytes(from));
    if (!outcome) return context.fail(event::CloseReason::client_error, from, outcome.error().message);
    auto* header = std::get_if<ProxyHeader>(&*outcome);
    if (header == nullptr) return;
    is_read_ = true;
    rest_ = header->rest;
    context.consume(from, header->size);
    if (header->client) context.show_client(ClientAddress(*std::move(header->client)));
  }
  const std::size_t skipped = std::min(rest_, context.bytes(from).size());
  context.consume(from, skipped);
  rest_ -= skipped;
  if (rest_ > 0) return;
  context.stop_waiting();
  context.connect(std::nullopt, std::nullopt);
}

}  // namespace weir::proxy
