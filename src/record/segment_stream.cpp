#include "record/segment_stream.h"

#include <algorithm>

namespace weir::record {
namespace {

constexpr std::int64_t furthest = std::int64_t{1} << 30;  // the largest window that TCP can say

}  // namespace

void SegmentStream::begin(std::uint32_t sequence, bool sure) {
  begun_ = true;
  sure_ = sure;
  next_sequence_ = sequence;
}

auto SegmentStream::offset_of(std::uint32_t sequence) const -> std::int64_t {
  return static_cast<std::int64_t>(next_) + static_cast<std::int32_t>(sequence - next_sequence_);
}

auto SegmentStream::take(std::uint32_t sequence, std::span<const std::byte> payload, std::uint32_t length,
                         const Deliver& deliver) -> Kind {
  if (!begun_ || (!sure_ && sequence == next_sequence_ + 1)) begin(sequence, true);
  sure_ = true;
  const std::int64_t begin = offset_of(sequence);
  const std::int64_t end = begin + length;
  const auto next = static_cast<std::int64_t>(next_);
  if (begin > next + furthest || end < next - furthest) return Kind::nonsense;
  if (end <= next) {
    if (length == 1 && end == next) return Kind::probe;
    const bool late =
        begin >= static_cast<std::int64_t>(missed_begin_) && end <= static_cast<std::int64_t>(missed_end_);
    return late && missed_end_ > missed_begin_ ? Kind::late : Kind::again;
  }
  if (begin > next) {
    const auto found = waiting_.find(static_cast<std::uint64_t>(begin));
    if (found != waiting_.end() && found->second.length >= length) return Kind::again;
    keep(static_cast<std::uint64_t>(begin), payload, length);
    if (held_ > most_held || waiting_.size() > most_segments || all_->bytes > HeldBytes::most) {
      skip_to(waiting_.begin()->first, deliver);
    }
    return Kind::beyond_hole;
  }
  const bool fills = !waiting_.empty();
  const auto seen = static_cast<std::size_t>(next - begin);
  deliver_in_order(payload.subspan(std::min(seen, payload.size())), length - static_cast<std::uint32_t>(seen), deliver);
  deliver_waiting(deliver);
  return fills ? Kind::fills_hole : Kind::in_order;
}

void SegmentStream::skip_to(std::uint64_t offset, const Deliver& deliver) {
  while (next_ < offset) {
    const std::uint64_t hole_end = waiting_.empty() ? offset : std::min(offset, waiting_.begin()->first);
    if (hole_end > next_) {
      missed_begin_ = next_;
      missed_end_ = hole_end;
      missed_ += hole_end - next_;
      deliver_in_order({}, static_cast<std::uint32_t>(hole_end - next_), deliver);
    }
    deliver_waiting(deliver);
  }
  deliver_waiting(deliver);
}

void SegmentStream::deliver_in_order(std::span<const std::byte> bytes, std::uint32_t length, const Deliver& deliver) {
  next_ += length;
  next_sequence_ += length;
  deliver(bytes, length - static_cast<std::uint32_t>(bytes.size()));
}

void SegmentStream::deliver_waiting(const Deliver& deliver) {
  while (!waiting_.empty() && waiting_.begin()->first <= next_) {
    auto node = waiting_.extract(waiting_.begin());
    const Segment& segment = node.mapped();
    held_ -= cost(segment);
    all_->bytes -= cost(segment);
    waiting_bytes_ -= segment.length;
    const std::uint64_t seen = next_ - node.key();
    if (seen >= segment.length) continue;
    const std::span<const std::byte> bytes(segment.bytes);
    deliver_in_order(bytes.subspan(std::min<std::size_t>(seen, bytes.size())),
                     segment.length - static_cast<std::uint32_t>(seen), deliver);
  }
}

void SegmentStream::keep(std::uint64_t offset, std::span<const std::byte> payload, std::uint32_t length) {
  Segment segment{.length = length, .bytes = {payload.begin(), payload.end()}};
  auto [place, is_new] = waiting_.try_emplace(offset);
  if (!is_new) {
    held_ -= cost(place->second);
    all_->bytes -= cost(place->second);
    waiting_bytes_ -= place->second.length;
  }
  held_ += cost(segment);
  all_->bytes += cost(segment);
  waiting_bytes_ += length;
  place->second = std::move(segment);
}

void SegmentStream::drop_waiting() {
  all_->bytes -= held_;
  held_ = waiting_bytes_ = 0;
  waiting_.clear();
}

}  // namespace weir::record
