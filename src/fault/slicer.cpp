#include "base/fifo.h"
#include "fault/catalog.h"
#include "fault/holding_stage.h"

namespace weir::fault {
namespace {

class SlicerStage final : public Stage {
 public:
  explicit SlicerStage(const Seat& seat) : draws_(seat.draws) { take(seat.spec); }

  void on_chunk(StageContext& context, Chunk chunk) override {
    if (held_.empty()) offset_ = chunk.offset;
    held_bytes_ += chunk.size();
    held_.push_back(std::move(chunk));
    release(context);
  }
  void on_end(StageContext& context) override {
    ended_ = true;
    release(context);
  }
  void on_alarm(StageContext& context) override { release(context); }
  void on_room(StageContext& context) override { release(context); }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    take(spec);
    boundary_ = std::min(boundary_, boundary_after(offset_));
    next_free_ = std::min(next_free_, context.now() + delay_);
    release(context);
  }
  void on_remove(StageContext& context) override {
    context.disarm();
    for (; !held_.empty(); held_.pop_front()) context.emit(std::move(held_.front()));
    if (ended_) context.end(End::fin);
  }
  [[nodiscard]] auto memory() const -> std::size_t override { return held_.memory(); }
  [[nodiscard]] auto takes_more() const -> bool override { return held_bytes_ < enough_held; }

 private:
  // One read of 64 KiB may become as many slices, each with a place in a queue: they are cut as the sink takes them.
  static constexpr int slices_per_call = 256;

  void take(const FaultSpec& spec) {
    average_ = spec.integer("average_size");
    variation_ = std::min(spec.integer("size_variation"), average_);
    delay_ = spec.time("delay");
  }
  void release(StageContext& context) {
    for (int slices = 0; !held_.empty(); ++slices) {
      if (next_free_ > context.now()) return context.arm(next_free_);
      if (context.sink_is_blocked()) return context.disarm();
      if (slices == slices_per_call) return context.arm(context.now());
      Chunk& front = held_.front();
      // mutant: slices-depend-on-chunks
      if (boundary_ <= front.offset) boundary_ = boundary_after(front.offset);  // bytes may be missing before it
      Chunk slice = front.take(std::min<std::uint64_t>(front.size(), boundary_ - front.offset));
      if (front.empty()) held_.pop_front();
      held_bytes_ -= slice.size();
      offset_ = slice.end();
      if (offset_ == boundary_) boundary_ = boundary_after(offset_);
      if (delay_ > Nanos{0}) next_free_ = context.now() + delay_;
      context.emit(std::move(slice));
    }
    if (!ended_) return;
    next_free_ > context.now() ? context.arm(next_free_) : context.end(End::fin);
  }
  // Where the slice that begins at `offset` ends: a function of that offset, so that it does not matter
  // how the bytes came in chunks.
  [[nodiscard]] auto boundary_after(std::uint64_t offset) const -> std::uint64_t {
    if (average_ == 0) return std::numeric_limits<std::uint64_t>::max();
    const std::int64_t size = draws_.integer(offset, average_ - variation_, average_ + variation_);
    return offset + static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
  }

  Draws draws_;
  std::int64_t average_ = 0;
  std::int64_t variation_ = 0;
  Nanos delay_{};
  Fifo<Chunk> held_;
  std::size_t held_bytes_ = 0;
  std::uint64_t offset_ = 0;    // of the next byte to leave
  std::uint64_t boundary_ = 0;  // where its slice ends
  MonoTime next_free_ = MonoTime::min();
  bool ended_ = false;
};

auto check(const FaultSpec& spec) -> Result<void> {
  const std::int64_t average = spec.integer("average_size");
  if (average == 0 || spec.integer("size_variation") <= average) return {};
  return failure(fmt::format("slicer: size_variation: {} is more than average_size: write at most {}",
                             spec.integer("size_variation"), average));
}

constexpr std::int64_t largest = std::int64_t{1} << 40;

}  // namespace

const FaultInfo slicer_fault{
    .type = "slicer",
    .doc = "Cuts the stream into small sends, with a pause after each",
    .details =
        "Slices are cut at offsets of the stream that are drawn from the seed, so they are the same however the bytes "
        "arrive; where a chunk ends, its last slice is sent as it is and not kept waiting for more. Each slice is one "
        "send, and TCP_NODELAY makes it one packet unless the kernel joins waiting ones.",
    .differs =
        "An average of 0 passes everything (it crashes toxiproxy), and a variation above the average is refused (so "
        "does that).",
    .attributes = {{.name = "average_size",
                    .kind = AttributeKind::size,
                    .default_value = std::int64_t{0},
                    .doc = "A slice's mean size; 0 passes everything as it came",
                    .most = largest,
                    .classic_unit = 1},
                   {.name = "size_variation",
                    .kind = AttributeKind::size,
                    .default_value = std::int64_t{0},
                    .doc = "How many bytes a slice may be shorter or longer; at most the average",
                    .most = largest,
                    .classic_unit = 1},
                   {.name = "delay",
                    .kind = AttributeKind::duration,
                    .default_value = std::int64_t{0},
                    .doc = "The pause after each slice; toxiproxy's unit is microseconds",
                    .classic_unit = 1000}},
    .classic = true,
    .check = check,
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<SlicerStage>(seat); }};

}  // namespace weir::fault
