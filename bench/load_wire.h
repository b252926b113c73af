#pragma once

#include <cstdint>

namespace weir::load {

// What a client tells the server in the first 24 bytes of a connection (host order: both ends are
// on one machine). Everything after it is payload.
//   exchange  the connection carries requests of request_size bytes (the first one includes this
//             header, hence at least 24), each answered by response_size bytes
//   download  the server sends `bytes` bytes, or until the client half-closes if 0, then closes
//   upload    the server reads until the client half-closes, answers with the count of all bytes it
//             got, this header included, as 8 bytes, and closes
enum class Wish : std::uint32_t { exchange = 1, download = 2, upload = 3 };

struct Header {
  Wish wish = Wish::exchange;
  std::uint32_t request_size = 0;
  std::uint32_t response_size = 0;
  std::uint32_t chunk = 0;  // bulk: the size of the server's reads and writes, bytes; at most max_chunk
  std::uint64_t bytes = 0;
};
static_assert(sizeof(Header) == 24);

inline constexpr std::uint32_t max_chunk = 256 * 1024;
inline constexpr std::uint32_t max_message = 128 * 1024;  // a request or response, bytes

}  // namespace weir::load
