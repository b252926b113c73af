#pragma once

#include <cstdint>

namespace weir {

// Which proxy of this process; assigned by the engine in creation order, from 0.
enum class ProxyId : std::uint32_t {};

// A session's number within its proxy, in accept order, from 1; one atomic per proxy hands them out.
enum class SessionNumber : std::uint64_t {};

// Where a live session stands: its worker, and there the slot and generation of its client's socket, so that it is
// found at once, and never another that took its place. A value; any thread.
struct SessionHandle {
  std::uint32_t worker = 0;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  auto operator==(const SessionHandle&) const -> bool = default;
};

// upstream = client to server, downstream = server to client. Also an index (0, 1).
enum class Direction : std::uint8_t { upstream = 0, downstream = 1 };

// One of a session's two stream sockets. Also an index (0, 1).
enum class LegName : std::uint8_t { client = 0, server = 1 };

[[nodiscard]] constexpr auto to_string(Direction direction) -> const char* {
  return direction == Direction::upstream ? "upstream" : "downstream";
}
[[nodiscard]] constexpr auto to_string(LegName leg) -> const char* {
  return leg == LegName::client ? "client" : "server";
}
[[nodiscard]] constexpr auto other(LegName leg) -> LegName {
  return leg == LegName::client ? LegName::server : LegName::client;
}
[[nodiscard]] constexpr auto other(Direction direction) -> Direction {
  return direction == Direction::upstream ? Direction::downstream : Direction::upstream;
}
// The leg a direction's bytes come from, and the one they go to.
[[nodiscard]] constexpr auto source_of(Direction direction) -> LegName {
  return direction == Direction::upstream ? LegName::client : LegName::server;
}
[[nodiscard]] constexpr auto sink_of(Direction direction) -> LegName { return other(source_of(direction)); }
// The direction whose bytes come from this leg.
[[nodiscard]] constexpr auto direction_from(LegName leg) -> Direction {
  return leg == LegName::client ? Direction::upstream : Direction::downstream;
}
[[nodiscard]] constexpr auto index(Direction direction) -> unsigned { return static_cast<unsigned>(direction); }
[[nodiscard]] constexpr auto index(LegName leg) -> unsigned { return static_cast<unsigned>(leg); }

}  // namespace weir
