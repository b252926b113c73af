// Server-sent events (WHATWG HTML, 9.2): their framing, and a queue for a reader that may be slow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace weir::http {

// One event. `type` holds no line break; each line of `data` becomes a line of its own.
struct ServerEvent {
  std::optional<std::uint64_t> id{};
  std::string_view type;
  std::string_view data;
};
void append_event(std::string& out, const ServerEvent& event);
// Says that `missed` events are not there: the event "gap".
void append_gap(std::string& out, std::uint64_t missed);
// A client ignores it; a peer that is gone does not acknowledge it.
inline constexpr std::string_view event_comment = ":\n";

// Framed events that wait for one reader, in order. Beyond `most_bytes` of them new ones are not kept but counted,
// and the reader finds a gap in their place. One thread.
class EventQueue {
 public:
  explicit EventQueue(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  // False: there was no room, and the event is counted as missed.
  auto push(const ServerEvent& event) -> bool;
  // The next ones, as many as fit into about `room` bytes, and at least one.
  [[nodiscard]] auto take(std::size_t room) -> std::string;
  [[nodiscard]] auto waiting_bytes() const -> std::size_t { return waiting_bytes_; }
  // Of all times.
  [[nodiscard]] auto missed() const -> std::uint64_t { return missed_; }

 private:
  std::size_t most_bytes_;
  std::deque<std::string> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t gap_ = 0;  // missed since the last that was kept
  std::uint64_t missed_ = 0;
};

}  // namespace weir::http
