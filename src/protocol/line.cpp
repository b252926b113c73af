#include <cstring>
#include <utility>

#include "protocol/framer.h"

namespace weir::protocol {
namespace {

// It looks for the ends alone and keeps nothing of a line, so a line may be of any length.
class LineFramer final : public Framer {
 public:
  auto on_bytes(Direction direction, std::uint64_t offset, std::span<const std::byte> bytes, Messages& found)
      -> bool override {
    bool& in_line = in_line_[index(direction)];
    while (!bytes.empty()) {
      if (!std::exchange(in_line, true)) found.begin(offset);
      const void* feed = std::memchr(bytes.data(), '\n', bytes.size());
      if (feed == nullptr) break;
      const auto size = static_cast<std::size_t>(static_cast<const std::byte*>(feed) - bytes.data()) + 1;
      bytes = bytes.subspan(size);
      offset += size;
      found.end(offset);
      in_line = false;  // mutant: only-the-first-line-is-found
    }
    return true;
  }

 private:
  bool in_line_[2] = {};  // by Direction
};

}  // namespace

const FramerInfo line_framer{.name = "line",
                             .doc = "A line, up to and including its line feed",
                             .make = []() -> std::unique_ptr<Framer> { return std::make_unique<LineFramer>(); }};

}  // namespace weir::protocol
