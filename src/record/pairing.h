// What RelayPairs remembers of one connection; some 600 bytes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "record/connection.h"

namespace weir::record {

// One direction's message: from the first byte behind the other direction's, on.
struct Message {
  static constexpr std::size_t compared = 64;
  static constexpr std::size_t remembered = 8;
  struct Piece {
    std::uint64_t end = 0;
    MonoTime time{};
  };

  std::array<std::byte, compared> head{};  // its first bytes, then zeros
  std::size_t known = 0;                   // of head
  std::uint64_t length = 0;
  std::array<Piece, remembered> pieces{};  // the last ones
  std::size_t count = 0;

  // offset: of the first of `bytes`; unseen ones come behind them.
  void add(std::span<const std::byte> bytes, std::uint64_t offset, std::uint32_t size, MonoTime now) {
    if (offset == 0) *this = {};
    if (known == length && known < head.size()) {
      const std::size_t more = std::min(head.size() - known, bytes.size());
      std::ranges::copy(bytes.first(more), head.begin() + static_cast<std::ptrdiff_t>(known));
      known += more;
    }
    length = offset + size;
    pieces.at(count++ % remembered) = {length, now};
  }
  // When the byte at `offset` came; none: not yet, or too long ago to know.
  [[nodiscard]] auto time_of(std::uint64_t offset) const -> std::optional<MonoTime> {
    std::optional<MonoTime> found;
    const std::size_t first = count > remembered ? count - remembered : 0;
    for (std::size_t i = count; i > first; --i) {
      const Piece& piece = pieces.at((i - 1) % remembered);
      if (piece.end <= offset) return found;
      found = piece.time;
    }
    return first == 0 ? found : std::nullopt;
  }
  [[nodiscard]] auto begins_like(const Message& other) const -> bool {
    const std::size_t size = std::min(known, other.known);
    return size > 0 && std::memcmp(head.data(), other.head.data(), size) == 0;
  }
};

struct Connection::Pairing {
  std::array<Message, 2> messages;  // by Direction
  std::uint64_t request = 0;        // counts them
  bool answered = false;            // the request's response has begun
  bool passed_on = false;           // the request goes on in `inner`
  Connection* outer = nullptr;      // whose request this one's last was
  Connection* inner = nullptr;      // whose last request was this one's
};

}  // namespace weir::record
