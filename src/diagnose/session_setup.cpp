#include "diagnose/session_setup.h"

#include <utility>

namespace weir::diagnose {
namespace {

auto byte_at(std::string_view bytes, std::size_t at) -> std::uint32_t { return static_cast<std::uint8_t>(bytes[at]); }

auto big_endian(std::string_view bytes, std::size_t at) -> std::uint32_t {
  return byte_at(bytes, at) << 24 | byte_at(bytes, at + 1) << 16 | byte_at(bytes, at + 2) << 8 | byte_at(bytes, at + 3);
}

// PostgreSQL's messages without a type byte: a length, then a version or one of two magic numbers (protocol-message-
// formats: StartupMessage, SSLRequest, GSSENCRequest).
enum class Untyped : std::uint8_t { none, wish_for_encryption, startup };
auto untyped(std::string_view bytes) -> Untyped {
  constexpr std::uint32_t version_3 = 3 << 16;
  constexpr std::uint32_t ssl_request = 80'877'103;
  constexpr std::uint32_t gss_request = 80'877'104;
  constexpr std::uint32_t longest = 10'000;  // MAX_STARTUP_PACKET_LENGTH
  if (bytes.size() < 8) return Untyped::none;
  const std::uint32_t length = big_endian(bytes, 0);
  const std::uint32_t code = big_endian(bytes, 4);
  if (length == 8 && (code == ssl_request || code == gss_request)) return Untyped::wish_for_encryption;
  const bool is_startup = length > 8 && length <= longest && code >= version_3 && code <= version_3 + 9;
  return is_startup ? Untyped::startup : Untyped::none;
}

constexpr std::size_t mysql_header = 4;  // three bytes of length, one of a sequence that each command begins at 0

}  // namespace

void SetupWatch::on_greeting(std::string_view bytes) {
  if (protocol_ != Protocol::unknown) return;
  constexpr std::uint32_t version_10 = 0x0a;
  const bool is_mysql = bytes.size() > mysql_header + 1 && byte_at(bytes, 2) == 0 && byte_at(bytes, 3) == 0 &&
                        byte_at(bytes, mysql_header) == version_10;
  protocol_ = is_mysql ? Protocol::mysql : Protocol::other;
  in_setup_ = is_mysql;
}

void SetupWatch::on_request(std::string_view bytes) {
  switch (protocol_) {
    case Protocol::unknown: {
      const Untyped message = untyped(bytes);
      protocol_ = message == Untyped::none ? Protocol::other : Protocol::postgres;
      in_setup_ = message != Untyped::none;
      asked_for_tls_ = message == Untyped::wish_for_encryption;
      return;
    }
    case Protocol::postgres: {
      const Untyped message = untyped(bytes);
      asked_for_tls_ = message == Untyped::wish_for_encryption;
      in_setup_ = in_setup_ && (message != Untyped::none || bytes.starts_with('p'));  // 'p': a password, or SASL
      return;
    }
    case Protocol::mysql: in_setup_ = in_setup_ && bytes.size() >= mysql_header && byte_at(bytes, 3) != 0; return;
    case Protocol::other: return;
  }
}

void SetupWatch::on_answer(std::string_view bytes) {
  if (std::exchange(asked_for_tls_, false)) tls_begins_ = bytes == "S";
}

auto SetupWatch::take_tls_begins() -> bool { return std::exchange(tls_begins_, false); }

auto SetupWatch::protocol() const -> std::string_view {
  switch (protocol_) {
    case Protocol::postgres: return "PostgreSQL";
    case Protocol::mysql: return "MySQL";
    case Protocol::unknown:
    case Protocol::other: break;
  }
  return "";
}

}  // namespace weir::diagnose
