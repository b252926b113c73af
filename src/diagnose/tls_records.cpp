#include "diagnose/tls_records.h"

#include <algorithm>

namespace weir::diagnose {

void TlsRecords::add(std::string_view bytes) {
  while (!is_broken_ && !bytes.empty()) {
    if (left_ > 0) {
      const auto taken = static_cast<std::uint16_t>(std::min<std::size_t>(left_, bytes.size()));
      left_ = static_cast<std::uint16_t>(left_ - taken);
      bytes.remove_prefix(taken);
      continue;
    }
    header_.at(header_size_++) = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    if (header_size_ == header_.size()) take_header();
  }
}

void TlsRecords::skip(std::uint64_t bytes) {
  is_broken_ |= bytes > left_;  // a header was among them
  left_ = static_cast<std::uint16_t>(left_ - std::min<std::uint64_t>(left_, bytes));
}

void TlsRecords::take_header() {
  constexpr std::uint16_t most = (1 << 14) + 256;  // RFC 8446 section 5.2
  header_size_ = 0;
  const std::uint8_t type = header_[0];
  left_ = static_cast<std::uint16_t>(header_[3] << 8 | header_[4]);
  const bool is_first = handshakes_ == 0 && !cipher_changed_;
  if (type < change_cipher || type > data || header_[1] != 3 || left_ > most || left_ == 0 ||
      (is_first && type != handshake)) {
    is_broken_ = true;
    return;
  }
  if (type == handshake) {
    ++handshakes_;
    has_finished_ |= cipher_changed_;
  }
  cipher_changed_ |= type == change_cipher;
  if (type == data) ++data_records_;
  if (message_.records++ == 0) message_.length = left_;
  message_.only_data &= type == data;
  message_.equal_lengths &= left_ == message_.length;
}

void TlsSession::add(Direction direction, std::string_view bytes, std::uint64_t exchange) {
  records(direction).add(bytes);
  if (direction == Direction::downstream) {
    is_13_ |= records(direction).data_records() > 0 && client().data_records() == 0;
  } else if (first_exchange_ == 0 && client_data()) {
    first_exchange_ = exchange;
  }
}

auto TlsSession::moment(Direction direction, std::uint64_t exchange) const -> TlsMoment {
  const TlsRecords& source = records_.at(index(direction));
  const TlsRecords::Message& message = source.message();
  const bool whole = source.between_records() && message.only_data;
  return {.is_tls = client().is_tls(),
          .is_13 = is_13_,
          .client_finished = is_13_ ? client().data_records() > 0 : client().has_finished(),
          .client_data = client_data(),
          .first_answer = first_exchange_ != 0 && first_exchange_ == exchange,
          .data_before = whole ? message.records : 0,
          .equal_lengths = message.equal_lengths};
}

}  // namespace weir::diagnose
