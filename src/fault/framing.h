#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/ids.h"
#include "protocol/framer.h"

namespace weir::fault {

// One framer at work in one session, and the messages that it has found in each direction. It sees bytes
// as they come in, before any fault, so it stands at the front of the chains of both directions. Owned by
// the SessionFaults while a fault asks for it.
class Framing {
 public:
  explicit Framing(const protocol::FramerInfo& info) : info_(&info), framer_(info.make()) {}

  [[nodiscard]] auto info() const -> const protocol::FramerInfo& { return *info_; }
  [[nodiscard]] auto messages(Direction direction) -> protocol::Messages& { return messages_[index(direction)]; }
  // The bytes of a direction that are to be shown to it.
  void set_watches(Direction direction, bool watches) { watches_[index(direction)] = watches; }
  [[nodiscard]] auto watches(Direction direction) const -> bool { return watches_[index(direction)]; }
  // The next bytes of a direction that it watches.
  void look(Direction direction, std::uint64_t offset, std::span<const std::byte> bytes) {
    if (gave_up_) return;
    seen_[index(direction)] = offset + bytes.size();
    if (framer_->on_bytes(direction, offset, bytes, messages(direction))) return;
    gave_up_ = true;
    for (unsigned each : {0U, 1U}) messages_[each].end(seen_[each]);
  }

 private:
  const protocol::FramerInfo* info_;
  std::unique_ptr<protocol::Framer> framer_;
  protocol::Messages messages_[2];  // this and the next by Direction
  std::uint64_t seen_[2] = {};
  bool watches_[2] = {};
  bool gave_up_ = false;
};

// Of a session: one for each framer that its faults name. Null while they name none, as most do.
using Framings = std::unique_ptr<std::vector<std::unique_ptr<Framing>>>;

[[nodiscard]] inline auto any_watches(const Framings* framings, Direction direction) -> bool {
  return framings != nullptr && *framings != nullptr &&
         std::ranges::any_of(**framings, [direction](const auto& each) { return each->watches(direction); });
}

}  // namespace weir::fault
