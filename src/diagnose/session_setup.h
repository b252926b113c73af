#pragma once

#include <cstdint>
#include <string_view>

#include "base/ids.h"

namespace weir::diagnose {

// What an exchange is for.
enum class Purpose : std::uint8_t {
  request,        // what the session is for
  tls_handshake,  // no application data has come from the client yet
  setup,          // the protocol's own greeting: start-up, authentication
};

// Tells the exchanges in which PostgreSQL and MySQL greet and authenticate from those that ask something, by the first
// bytes of each message. Of any other protocol all exchanges are requests.
class SetupWatch {
 public:
  // The session's first bytes from a server that speaks first.
  void on_greeting(std::string_view bytes);
  // A request begins: its first bytes, as many as one read brought.
  void on_request(std::string_view bytes);
  // The first byte with which the server answers a wish for encryption.
  void on_answer(std::string_view bytes);
  [[nodiscard]] auto purpose() const -> Purpose { return in_setup_ ? Purpose::setup : Purpose::request; }
  // PostgreSQL's server agreed to encrypt: TLS begins with what comes now. Once.
  [[nodiscard]] auto take_tls_begins() -> bool;
  [[nodiscard]] auto protocol() const -> std::string_view;  // "PostgreSQL", "MySQL" or ""

 private:
  enum class Protocol : std::uint8_t { unknown, postgres, mysql, other };
  Protocol protocol_ = Protocol::unknown;
  bool in_setup_ = false;
  bool asked_for_tls_ = false;
  bool tls_begins_ = false;
};

}  // namespace weir::diagnose
