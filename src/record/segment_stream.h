// What one end of a connection sent, put in order again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace weir::record {

// Bytes that all streams of one reader keep for want of those before them.
struct HeldBytes {
  static constexpr std::size_t most = 32 * 1024 * 1024;
  std::size_t bytes = 0;
};

// A machine over sequence numbers. Offsets count the stream's bytes from 0, wherever the capture began. At most
// `most_held` bytes in `most_segments` segments wait behind a hole; then, as when the receiver acknowledges the hole,
// its bytes count as sent and not captured.
class SegmentStream {
 public:
  static constexpr std::size_t most_held = 8 * 1024 * 1024;
  static constexpr std::size_t most_segments = 4096;

  // Takes bytes in order: `unseen` is how many more came behind them of which the text is not known. Never both
  // nothing.
  using Deliver = std::function<void(std::span<const std::byte> bytes, std::uint32_t unseen)>;

  explicit SegmentStream(HeldBytes& all) : all_(&all) {}
  ~SegmentStream() { drop_waiting(); }
  SegmentStream(const SegmentStream&) = delete;
  auto operator=(const SegmentStream&) -> SegmentStream& = delete;

  // The sequence number of the next byte, where none is known yet. `sure`: from its SYN or its data; else a segment
  // that begins one behind it moves it (a keep-alive's number is one too low).
  void begin(std::uint32_t sequence, bool sure);
  [[nodiscard]] auto has_begun() const -> bool { return begun_; }

  enum class Kind : std::uint8_t {
    in_order,
    fills_hole,   // and what waited behind the hole came with it
    beyond_hole,  // it waits
    again,        // all of it was seen before
    late,         // it was taken for not captured; it is not delivered any more
    probe,        // a keep-alive or a probe of a window: a byte that was sent long ago
    nonsense,     // its number is far from any that may come
  };
  // A segment with length > 0; payload: what the capture holds of it.
  auto take(std::uint32_t sequence, std::span<const std::byte> payload, std::uint32_t length, const Deliver& deliver)
      -> Kind;
  // The bytes before `offset` have been received, whether they were captured or not.
  void skip_to(std::uint64_t offset, const Deliver& deliver);

  // Of a sequence number; below 0: before the capture began.
  [[nodiscard]] auto offset_of(std::uint32_t sequence) const -> std::int64_t;
  [[nodiscard]] auto next() const -> std::uint64_t { return next_; }  // the first byte that was not delivered
  [[nodiscard]] auto waiting() const -> std::size_t { return waiting_bytes_; }
  [[nodiscard]] auto missed() const -> std::uint64_t { return missed_; }  // bytes that were not captured

 private:
  struct Segment {
    std::uint32_t length = 0;
    std::vector<std::byte> bytes;
  };
  void deliver_in_order(std::span<const std::byte> bytes, std::uint32_t length, const Deliver& deliver);
  void deliver_waiting(const Deliver& deliver);
  void keep(std::uint64_t offset, std::span<const std::byte> payload, std::uint32_t length);
  void drop_waiting();
  static auto cost(const Segment& segment) -> std::size_t { return segment.bytes.size() + 96; }

  HeldBytes* all_;
  bool begun_ = false;
  bool sure_ = false;
  std::uint32_t next_sequence_ = 0;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, Segment> waiting_;  // by offset
  std::size_t held_ = 0;                      // memory of waiting_
  std::size_t waiting_bytes_ = 0;
  std::uint64_t missed_ = 0;
  std::uint64_t missed_begin_ = 0;  // the last stretch that was not captured
  std::uint64_t missed_end_ = 0;
};

}  // namespace weir::record
