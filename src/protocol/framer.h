// Room protocol/, floor 4: what is known of the protocols that pass through; today, where their messages
// begin and end. All of it is sans-io. Includes base/ alone. Start with this file, then line.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "protocol/messages.h"

namespace weir::protocol {

// Finds the messages of one session while its bytes pass. It has one state for both directions, so that
// it may read an answer as its question wants it. It keeps no byte, never delays one, and allocates
// nothing for a message. On the session's thread; lives as long as a fault asks for it.
class Framer {
 public:
  virtual ~Framer() = default;
  // The next bytes of a direction; the first of them has this offset in its stream. It may join a session
  // that is under way: then the first offset is not 0. What begins and ends in them is told to `found`.
  // False: it cannot tell messages any more, in either direction. It is not called again, what is open
  // ends with the bytes seen, and the stream goes on without messages.
  [[nodiscard]] virtual auto on_bytes(Direction direction, std::uint64_t offset, std::span<const std::byte> bytes,
                                      Messages& found) -> bool = 0;
};

struct FramerInfo {
  std::string_view name;  // what users write: on=line
  std::string_view doc;   // one line: what a message is
  // It has to see both directions to know the messages of one.
  bool needs_both = false;
  std::unique_ptr<Framer> (*make)() = nullptr;
};

#define WEIR_FRAMER(name) extern const FramerInfo name##_framer;
#include "protocol/framers.def"
#undef WEIR_FRAMER

// In the order of the documentation.
[[nodiscard]] auto framers() -> std::span<const FramerInfo* const>;
// Null: there is none of that name.
[[nodiscard]] auto find_framer(std::string_view name) -> const FramerInfo*;

}  // namespace weir::protocol
