// One fault as a user asked for it: a value that never changes once it stands in a list. What its type
// and its attributes mean is the catalog's business (catalog.h).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/client_filter.h"
#include "base/clock.h"
#include "base/ids.h"
#include "protocol/framer.h"

namespace weir::fault {

struct FaultInfo;  // catalog.h: a type is its entry in the catalog

enum class FaultDirection : std::uint8_t { upstream, downstream, both };

// What shares one draw of the probability and, in the faults that count or cap, one count or cap.
enum class FaultScope : std::uint8_t {
  session,
  client,  // all sessions of one client address, whatever its ports
  proxy,
};

// When in a session the fault begins: at an age of the session, or at an offset in the stream of its
// direction (with both, the direction that first comes there begins it in both).
struct ByteOffset {
  std::uint64_t bytes = 0;
  auto operator==(const ByteOffset&) const -> bool = default;
};
using After = std::variant<Nanos, ByteOffset>;

// An attribute's value in base units: nanoseconds, bytes, bytes per second or a count; a fraction; a
// word, or raw bytes (written as hex).
using Value = std::variant<std::int64_t, double, std::string>;

// Which messages of its direction a fault is for. Messages are counted from 1, from the first that begins
// when the fault has begun.
struct Selector {
  const protocol::FramerInfo* on = nullptr;  // what a message is; null: the fault is for all bytes
  std::uint64_t nth = 0;                     // the first that is selected; 0: as `every` says
  std::uint64_t every = 0;                   // and then one message in so many; 0: no other, or all if nth is 0 too

  [[nodiscard]] auto selects(std::uint64_t number) const -> bool {
    if (every == 0) return nth == 0 || number == nth;
    return number >= nth && (number - nth) % every == 0;
  }
  auto operator==(const Selector&) const -> bool = default;
};

struct FaultSpec {
  const FaultInfo* type = nullptr;  // never null in a list; the catalog's, so for ever
  std::string name = {};            // unique in a proxy; "<type>_<direction>" unless given
  FaultDirection direction = FaultDirection::downstream;
  double probability = 1;  // it applies to a session iff the session's draw u in [0, 1) is less
  FaultScope scope = FaultScope::session;
  std::optional<ClientFilter> match = {};  // none: every client
  std::string match_text = {};             // as the user wrote it; empty if none
  After after = Nanos{0};
  std::optional<Nanos> duration = {};  // "for": from when it begins; none: to the session's end
  Selector selector = {};
  std::vector<Value> values = {};  // by the place of the attribute in type->attributes

  // By name; the type must have it, and of this kind.
  [[nodiscard]] auto integer(std::string_view attribute) const -> std::int64_t;
  // At most ten years: toxiproxy takes numbers of milliseconds that no clock can count to.
  [[nodiscard]] auto time(std::string_view attribute) const -> Nanos {
    constexpr Nanos longest = std::chrono::years{10};
    return std::clamp(Nanos{integer(attribute)}, -longest, longest);
  }
  [[nodiscard]] auto fraction(std::string_view attribute) const -> double;
  [[nodiscard]] auto text(std::string_view attribute) const -> const std::string&;

  [[nodiscard]] auto covers(Direction which) const -> bool {
    return direction == FaultDirection::both ||
           (which == Direction::upstream) == (direction == FaultDirection::upstream);
  }
};

// Two specs that ask for the same, written the same or not.
[[nodiscard]] auto same(const FaultSpec& a, const FaultSpec& b) -> bool;

[[nodiscard]] auto to_string(FaultDirection direction) -> std::string_view;
[[nodiscard]] auto to_string(FaultScope scope) -> std::string_view;

}  // namespace weir::fault
