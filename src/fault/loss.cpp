#include "fault/catalog.h"
#include "fault/holding_stage.h"

namespace weir::fault {
namespace {

constexpr std::uint64_t segment = 1448;       // payload of a full Ethernet frame with timestamps
constexpr std::uint32_t retransmissions = 1;  // their series of draws

class LossStage final : public HoldingStage {
 public:
  explicit LossStage(const Seat& seat) : draws_(seat.draws) { take(seat.spec); }

  void on_chunk(StageContext& context, Chunk chunk) override {
    std::uint64_t number = std::max(next_segment_, (chunk.offset + segment - 1) / segment);
    const std::uint64_t end = chunk.end();
    for (; number * segment < end; ++number) {
      if (draws_.uniform(number) >= rate_ / static_cast<double>(burst_)) continue;
      const auto before = static_cast<std::size_t>(number * segment - chunk.offset);
      if (before > 0) hold(context, chunk.take(before), context.now());
      pause_until_ = std::max(pause_until_, context.now() + pause(number));
      number += static_cast<std::uint64_t>(burst_) - 1;  // lost with it, and repaired with it
      hold(context, chunk.take(std::min(end, (number + 1) * segment) - chunk.offset), pause_until_);
    }
    next_segment_ = number;
    if (!chunk.empty()) hold(context, std::move(chunk), context.now());
  }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    take(spec);
    hasten(context, [&](const Held&) { return context.now() + rto_; });
  }

 private:
  void take(const FaultSpec& spec) {
    rate_ = spec.fraction("rate");
    burst_ = spec.integer("burst");
    rto_ = spec.time("rto");
  }
  // A retransmission may be lost too, and each is sent after twice the time (RFC 6298, 5.5).
  [[nodiscard]] auto pause(std::uint64_t number) const -> Nanos {
    constexpr std::uint32_t most = 6;
    Nanos wait = rto_;
    Nanos sum = rto_;
    for (std::uint32_t again = 0; again < most; ++again) {
      if (draws_.uniform(number, retransmissions + again) >= rate_) break;
      wait *= 2;
      sum += wait;
    }
    return sum;
  }

  Draws draws_;
  double rate_ = 0;
  std::int64_t burst_ = 1;
  Nanos rto_{};
  std::uint64_t next_segment_ = 0;  // the first whose lot is not known
  MonoTime pause_until_ = MonoTime::min();
};

}  // namespace

const FaultInfo loss_fault{
    .type = "loss",
    .doc = "Loss as a TCP peer feels it: pauses, then all at once; no byte is ever missing",
    .details =
        "The stream is seen as segments of 1,448 bytes; each is lost with the probability `rate`, drawn by its place "
        "in "
        "the stream. What is lost, and all behind it, waits for one retransmission timeout, for twice as long again if "
        "the retransmission is lost too (up to six times), and then comes at once. With `burst`, so many segments are "
        "lost in a row, that much more rarely.",
    .differs = "",
    .attributes = {{.name = "rate",
                    .kind = AttributeKind::fraction,
                    .default_value = 0.0,
                    .doc = "The part of the segments that is lost"},
                   {.name = "burst",
                    .kind = AttributeKind::count,
                    .default_value = std::int64_t{1},
                    .doc = "How many in a row are lost together",
                    .least = 1,
                    .most = 1000},
                   {.name = "rto",
                    .kind = AttributeKind::duration,
                    .default_value = std::int64_t{200'000'000},
                    .doc = "The first retransmission timeout; it doubles",
                    .most = 3600'000'000'000}},
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<LossStage>(seat); }};

}  // namespace weir::fault
