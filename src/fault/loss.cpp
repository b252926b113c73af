#include "fault/catalog.h"
#include "fault/holding_stage.h"

namespace weir::fault {
namespace {

constexpr std::uint64_t segment = 1448;       // payload of a full Ethernet frame with timestamps
constexpr std::uint32_t retransmissions = 1;  // their series of draws

// Which segments are lost follows from their place in the stream alone; how long a loss is felt, from what was sent
// beside it, as with Linux's TCP (RFC 8985 and 6298; tcp_schedule_loss_probe in net/ipv4/tcp_output.c).
class LossStage final : public HoldingStage {
 public:
  explicit LossStage(const Seat& seat) : draws_(seat.draws) { take(seat.spec); }

  void on_chunk(StageContext& context, Chunk chunk) override {
    find_first_segment(chunk);
    while (!chunk.empty()) {
      while (next_ < chunk.end() && !is_lost(next_)) next_ += segment;
      const std::uint64_t hole = std::min(next_, chunk.end());
      if (hole > chunk.offset) deliver(context, chunk.take(hole - chunk.offset));
      if (chunk.empty()) break;
      do next_ += segment;
      while (next_ < chunk.end() && is_lost(next_));
      const bool followed = next_ < chunk.end();
      lose(context, chunk.take(std::min(next_, chunk.end()) - hole), hole, followed);
    }
  }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    take(spec);
    pause_until_ = std::min(pause_until_, context.now() + timeout() + rtt_);
    hasten(context, [this](const Held&) { return pause_until_; });
  }

 private:
  void take(const FaultSpec& spec) {
    rate_ = spec.fraction("rate");
    burst_ = spec.integer("burst");
    rto_ = spec.time("rto");
    rtt_ = spec.time("rtt");
  }
  // A selected message is sent by itself, so its first byte begins a segment.
  void find_first_segment(const Chunk& chunk) {
    if (chunk.marks.framed) {
      next_ = chunk.marks.begins ? chunk.offset : std::max(next_, chunk.offset);
    } else if (next_ < chunk.offset) {
      next_ = (chunk.offset + segment - 1) / segment * segment;
    }
  }
  // Asked for the segments in their order, and only once for one that is lost.
  [[nodiscard]] auto is_lost(std::uint64_t begin) -> bool {
    if (rest_of_burst_ > 0) {
      --rest_of_burst_;
      return true;
    }
    if (draws_.uniform(begin) >= rate_ / static_cast<double>(burst_)) return false;
    rest_of_burst_ = burst_ - 1;
    return true;
  }
  // The first retransmission timeout: the smallest variation that Linux allows for, behind a round trip.
  [[nodiscard]] auto timeout() const -> Nanos { return rto_ + rtt_; }

  void deliver(StageContext& context, Chunk part) {
    const MonoTime now = context.now();
    if (tail_is_lost_ && now < pause_until_) {  // the ACK of these bytes tells the sender of the hole before them
      pause_until_ = std::min(pause_until_, std::max(other_holes_until_, now + rtt_ + tail_repeats_));
      hasten(context, [this](const Held&) { return pause_until_; });
    }
    tail_is_lost_ = false;
    in_flight_until_ = now + rtt_;
    hold(context, std::move(part), now);
  }
  // `followed`: later segments of the same flight arrive. The sender learns of the hole from their ACKs, after one
  // round trip. Of a lost tail nothing tells it but a timer, which the ACK of what was sent before has set anew.
  void lose(StageContext& context, Chunk part, std::uint64_t begin, bool followed) {
    const MonoTime now = context.now();
    const Nanos repeats = repeats_of(begin);
    Nanos wait = rtt_;
    if (!followed) wait = now < in_flight_until_ ? timeout() + rtt_ : timeout();
    const bool behind_tail = tail_is_lost_ && now < pause_until_;
    if (!behind_tail) other_holes_until_ = pause_until_;
    if (followed) {
      other_holes_until_ = std::max(other_holes_until_, now + wait + repeats);
    } else {
      tail_repeats_ = behind_tail ? std::max(tail_repeats_, repeats) : repeats;
      tail_is_lost_ = true;
    }
    pause_until_ = std::max(pause_until_, now + wait + repeats);
    in_flight_until_ = now + rtt_;
    hold(context, std::move(part), pause_until_);
  }
  // A retransmission may be lost too, and each is sent after twice the time (RFC 6298, 5.5).
  [[nodiscard]] auto repeats_of(std::uint64_t begin) const -> Nanos {
    constexpr std::uint32_t most = 6;
    Nanos wait = timeout();
    Nanos sum{};
    for (std::uint32_t again = 0; again < most; ++again) {
      if (draws_.uniform(begin, retransmissions + again) >= rate_) break;
      sum += wait;
      wait *= 2;
    }
    return sum;
  }

  Draws draws_;
  double rate_ = 0;
  std::int64_t burst_ = 1;
  Nanos rto_{};
  Nanos rtt_{};
  std::uint64_t next_ = 0;          // where the first segment begins whose lot is not known
  std::int64_t rest_of_burst_ = 0;  // so many segments more are lost
  MonoTime pause_until_ = MonoTime::min();
  MonoTime in_flight_until_ = MonoTime::min();    // until then, what was sent last is not acknowledged
  MonoTime other_holes_until_ = MonoTime::min();  // pause_until_, if it were not for the lost tail
  Nanos tail_repeats_{};
  bool tail_is_lost_ = false;  // the last that was sent
};

}  // namespace

const FaultInfo loss_fault{
    .type = "loss",
    .doc = "Loss as a TCP peer feels it: pauses, then all at once; no byte is ever missing",
    .details =
        "The stream is seen as segments of 1,448 bytes; each is lost with the probability `rate`, drawn by its place "
        "in the stream. With `burst`, so many segments are lost in a row, that much more rarely. With `on`, each "
        "message begins a segment, so `loss rate=0.01 on=line` is felt by one short line in a hundred.\n\n"
        "What is lost, and all behind it, comes at once when it has been sent again. With Linux's TCP that takes one "
        "`rtt` if later bytes of the same chunk arrive, for their ACKs tell of the hole; `rto` + `rtt` if it was sent "
        "alone (220 ms); and `rto` + 2 `rtt` if it was the last of several (240 ms). Bytes that come behind a lost "
        "end tell of it too. A retransmission may be lost as well: then `rto` + `rtt` pass again, and twice as long "
        "each further time, up to six times. The fault adds no round trip to what is not lost: `latency` does.",
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
                    .doc = "The least retransmission timeout beyond a round trip; it doubles",
                    .most = 3600'000'000'000},
                   {.name = "rtt",
                    .kind = AttributeKind::duration,
                    .default_value = std::int64_t{20'000'000},
                    .doc = "The round trip of the path that loses",
                    .most = 60'000'000'000}},
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<LossStage>(seat); }};

}  // namespace weir::fault
