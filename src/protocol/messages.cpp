#include "protocol/messages.h"

namespace weir::protocol {

void Messages::begin(std::uint64_t offset) {
  // The front is used again before more room is asked for, once it is half of all: each message is moved
  // once on average.
  if (found_.size() == found_.capacity() && forgotten_here_ > found_.size() / 2) {
    found_.erase(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(forgotten_here_));
    forgotten_here_ = 0;
  }
  found_.push_back({.begin = offset});
}

void Messages::end(std::uint64_t offset) {
  if (count() > 0 && found_.back().end == Message::open) found_.back().end = offset;
}

void Messages::forget_until(std::uint64_t offset) {
  while (count() > 0 && found_[forgotten_here_].end <= offset) {
    ++forgotten_here_;
    ++first_;
  }
  if (count() > 0) return;
  constexpr std::size_t worth_keeping = 16;  // 256 B, so that messages that come one by one need no allocation
  forgotten_here_ = 0;
  found_.clear();
  if (found_.capacity() > worth_keeping) found_ = {};
}

}  // namespace weir::protocol
