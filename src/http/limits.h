#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace weir::http {

// What clients may cost. docs/architecture.md names these for the API.
struct Limits {
  std::size_t connections = 1000;
  std::size_t header_bytes = 16 * 1024;      // of a request, with its first line
  std::uint64_t body_bytes = 1024 * 1024;    // of a request
  std::size_t stream_bytes = 256 * 1024;     // that wait for the reader of one stream
  std::size_t waiting_bytes = 256UL << 20U;  // of all responses that wait for their readers; beyond it they are 503

  Nanos read_timeout = std::chrono::seconds{15};      // for a request, from its first byte
  Nanos answer_timeout = std::chrono::seconds{30};    // for a handler that answers later; then it is 503
  Nanos write_timeout = std::chrono::seconds{30};     // without any progress
  Nanos idle_timeout = std::chrono::seconds{60};      // between two requests
  Nanos deaf_after = std::chrono::milliseconds{500};  // without any progress; it gives its place to others then
  Nanos stream_silence = std::chrono::seconds{15};    // of a stream that has a filler
  Nanos linger = std::chrono::seconds{2};             // for the peer's end after ours
  Nanos finish_timeout = std::chrono::seconds{1};     // for the answers that are under way when the server ends
};

}  // namespace weir::http
