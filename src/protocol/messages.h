#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace weir::protocol {

// Where a message lies in the stream of its direction, in bytes from the stream's beginning.
struct Message {
  static constexpr std::uint64_t open = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t begin = 0;
  std::uint64_t end = open;  // behind its last byte; open: that has not come
};

// The messages of one direction that were found and not yet forgotten, in order. Each has a number,
// counted from 0, which it keeps. Memory grows with the messages that are remembered, and not with each
// that passes. On the session's thread.
class Messages {
 public:
  // A message begins here; the one before it has ended. Offsets never go back.
  void begin(std::uint64_t offset);
  // The open message ends here; nothing if there is none.
  void end(std::uint64_t offset);
  // Those that ended here or before are not asked for any more.
  void forget_until(std::uint64_t offset);

  [[nodiscard]] auto count() const -> std::size_t { return found_.size() - forgotten_here_; }
  // Of the oldest that is remembered; and of the one that will begin next.
  [[nodiscard]] auto first() const -> std::uint64_t { return first_; }
  [[nodiscard]] auto next() const -> std::uint64_t { return first_ + count(); }
  // first() <= number < next().
  [[nodiscard]] auto operator[](std::uint64_t number) const -> const Message& {
    return found_[forgotten_here_ + static_cast<std::size_t>(number - first_)];
  }

 private:
  std::vector<Message> found_;
  std::size_t forgotten_here_ = 0;  // so many at the front of found_
  std::uint64_t first_ = 0;
};

}  // namespace weir::protocol
