#include "fault/selection.h"

namespace weir::fault {

void Selection::count_from(std::uint64_t offset) {
  counted_from_ = messages_.next();
  while (counted_from_ > messages_.first() && messages_[counted_from_ - 1].begin >= offset) --counted_from_;
}

// Once for each message, when its first byte comes.
auto Selection::selects(std::uint64_t number) -> bool {
  if (std::exchange(decided_, number) != number) {  // mutant: selector-decides-for-each-chunk
    decision_ = number >= counted_from_ && selector_.selects(number - counted_from_ + 1);
  }
  return decision_;
}

auto Selection::next(std::uint64_t offset, std::size_t size) -> Part {
  const std::uint64_t end = offset + size;
  std::uint64_t others = offset;  // up to here, the bytes are of no selected message
  for (at_ = std::max(at_, messages_.first());; ++at_) {
    if (at_ == messages_.next() || messages_[at_].begin >= end) {
      others = end;
      break;
    }
    const protocol::Message& message = messages_[at_];
    if (message.end <= others) continue;
    if (selects(at_)) {
      others = std::max(others, message.begin);
      break;
    }
    others = std::min(message.end, end);
    if (message.end > end) break;
  }
  if (others > offset) return {.size = static_cast<std::size_t>(others - offset)};
  const std::uint64_t message_end = messages_[at_].end;
  const Marks marks{.framed = true, .begins = std::exchange(begun_, at_) != at_, .ends = message_end <= end};
  return {.size = static_cast<std::size_t>(std::min(message_end, end) - offset), .is_selected = true, .marks = marks};
}

void Selection::wait(Chunk chunk) {
  waiting_bytes_ += chunk.size();
  waiting_.push_back({.chunk = std::move(chunk), .behind = given_});
}

auto Selection::take_front() -> Chunk {
  Chunk chunk = std::move(waiting_.front().chunk);
  waiting_.pop_front();
  waiting_bytes_ -= chunk.size();
  return chunk;
}

void Selection::forget_waiting() {
  waiting_.clear();
  waiting_bytes_ = 0;
}

auto Selection::join(Chunk chunk) -> Chunk {
  if (last_out_.goes_on && last_out_.end() == chunk.offset && last_out_.bytes.join(chunk.bytes)) {
    last_out_.goes_on = chunk.goes_on;
    return {};
  }
  return std::exchange(last_out_, std::move(chunk));
}

}  // namespace weir::fault
