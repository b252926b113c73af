#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/ids.h"

namespace weir::diagnose {

// One direction's TLS records, by the five bytes of their headers alone (RFC 8446 section 5.1): a machine of some 30
// bytes that takes its stream in any pieces. A header that is none ends it: the stream is not TLS then.
class TlsRecords {
 public:
  static constexpr std::uint8_t change_cipher = 20;
  static constexpr std::uint8_t alert = 21;
  static constexpr std::uint8_t handshake = 22;
  static constexpr std::uint8_t data = 23;

  void add(std::string_view bytes);
  // So many bytes came whose contents are not known.
  void skip(std::uint64_t bytes);
  // What was counted of a message begins anew.
  void begin_message() { message_ = {}; }

  [[nodiscard]] auto is_tls() const -> bool { return !is_broken_ && (handshakes_ > 0); }
  // Its last record, if any, is whole.
  [[nodiscard]] auto between_records() const -> bool { return header_size_ == 0 && left_ == 0; }
  [[nodiscard]] auto data_records() const -> std::uint32_t { return data_records_; }
  // A handshake record came behind a change of cipher: TLS 1.2's Finished.
  [[nodiscard]] auto has_finished() const -> bool { return has_finished_; }

  struct Message {
    std::uint32_t records = 0;
    bool only_data = true;      // all of them of type data
    bool equal_lengths = true;  // as session tickets have
    std::uint16_t length = 0;   // of the first
  };
  [[nodiscard]] auto message() const -> const Message& { return message_; }

 private:
  void take_header();

  std::array<std::uint8_t, 5> header_{};
  std::uint8_t header_size_ = 0;
  std::uint16_t left_ = 0;  // bytes of the record that are to come
  std::uint32_t handshakes_ = 0;
  std::uint32_t data_records_ = 0;
  bool cipher_changed_ = false;
  bool has_finished_ = false;
  bool is_broken_ = false;
  Message message_;
};

// How far the handshake of a session is, before the bytes that end a pause.
struct TlsMoment {
  bool is_tls = false;           // the client began with a handshake record
  bool is_13 = false;            // TLS 1.3: the server encrypts before the client does
  bool client_finished = false;  // the client's part of the handshake is here
  bool client_data = false;      // and so is application data of its own
  bool first_answer = false;     // to the exchange with its first application data
  // Of the message whose bytes ended the pause: records before it, if all are of application data and whole; else 0.
  std::uint32_t data_before = 0;
  bool equal_lengths = false;
};

// Both directions of a session.
class TlsSession {
 public:
  void add(Direction direction, std::string_view bytes, std::uint64_t exchange);
  void skip(Direction direction, std::uint64_t bytes) { records(direction).skip(bytes); }
  void begin_message(Direction direction) { records(direction).begin_message(); }
  // direction: whose bytes end the pause, in this exchange.
  [[nodiscard]] auto moment(Direction direction, std::uint64_t exchange) const -> TlsMoment;
  // Begins with the next bytes of either side; what was before is not TLS.
  void restart() { *this = {}; }

 private:
  [[nodiscard]] auto records(Direction direction) -> TlsRecords& { return records_.at(index(direction)); }
  [[nodiscard]] auto client() const -> const TlsRecords& { return records_[index(Direction::upstream)]; }
  [[nodiscard]] auto client_data() const -> bool { return client().data_records() >= (is_13_ ? 2U : 1U); }

  std::array<TlsRecords, 2> records_{};
  bool is_13_ = false;
  std::uint64_t first_exchange_ = 0;  // with application data of the client's; 0: none yet
};

}  // namespace weir::diagnose
