#include <cmath>

#include "fault/catalog.h"
#include "fault/holding_stage.h"

namespace weir::fault {
namespace {

// A piece is released up to this much ahead of its time: at 1 GB/s a chunk lasts 0.13 ms, and an alarm
// for each would cost more than the bytes. What was ahead is waited for with the next piece, so that
// the rate is exact.
constexpr Nanos ahead = std::chrono::microseconds{250};
constexpr std::int64_t pieces_per_second = 100;

class BandwidthStage final : public Stage {
 public:
  explicit BandwidthStage(const Seat& seat) : next_free_(seat.shared.next_free), rate_(seat.spec.integer("rate")) {}

  void on_chunk(StageContext& context, Chunk chunk) override {
    held_bytes_ += chunk.size();
    held_.push_back({std::move(chunk), context.now()});
    if (held_.size() == 1) release(context);
  }
  void on_end(StageContext& context) override {
    ended_ = true;
    release(context);
  }
  void on_alarm(StageContext& context) override { release(context); }
  void on_room(StageContext& context) override {
    if (!blocked_) return;
    blocked_ = false;
    no_credit_before_ = context.now();  // mutant: credit-for-a-blocked-sink
    release(context);
  }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    rate_ = spec.integer("rate");
    due_.reset();
    // What was reserved at the old rate is void: with 1 B/s it is a second ahead.
    const std::int64_t now = context.now().time_since_epoch().count();
    std::int64_t reserved = next_free_.load(std::memory_order_relaxed);
    while (reserved > now && !next_free_.compare_exchange_weak(reserved, now, std::memory_order_relaxed)) {
    }
    release(context);
  }
  void on_remove(StageContext& context) override {
    context.disarm();
    while (!held_.empty()) {
      context.emit(std::move(held_.front().chunk));
      held_.pop_front();
    }
    if (ended_) context.end(End::fin);
  }
  [[nodiscard]] auto memory() const -> std::size_t override { return held_.memory(); }
  [[nodiscard]] auto takes_more() const -> bool override {
    return held_bytes_ < std::max<std::uint64_t>(enough_held / 2, static_cast<std::uint64_t>(rate_) / 10);
  }

 private:
  struct Held {
    Chunk chunk;
    MonoTime arrived{};
  };

  void release(StageContext& context) {
    while (!held_.empty()) {
      if (rate_ == 0) return context.disarm();
      if (context.sink_is_blocked()) {
        blocked_ = true;  // time that passes now earns nothing
        return context.disarm();
      }
      Held& front = held_.front();
      const auto piece = std::min<std::uint64_t>(front.chunk.size(), piece_size());
      if (!due_) due_ = reserve(piece, std::max(front.arrived, no_credit_before_));
      if (*due_ > context.now() + ahead) return context.arm(*due_);
      due_.reset();
      held_bytes_ -= piece;
      Chunk chunk = front.chunk.take(piece);
      if (front.chunk.empty()) held_.pop_front();
      context.emit(std::move(chunk));
    }
    if (ended_) context.end(End::fin);
  }
  [[nodiscard]] auto piece_size() const -> std::uint64_t {
    return std::max<std::uint64_t>(static_cast<std::uint64_t>(rate_ / pieces_per_second), 1);
  }
  // Takes the time that so many bytes last; returns its end. Workers may come at once.
  auto reserve(std::uint64_t bytes, MonoTime not_before) -> MonoTime {
    const std::int64_t lasts = std::llround(static_cast<double>(bytes) * 1e9 / static_cast<double>(rate_));
    std::int64_t free = next_free_.load(std::memory_order_relaxed);
    std::int64_t end = 0;
    do {
      end = std::max(free, not_before.time_since_epoch().count()) + lasts;
    } while (!next_free_.compare_exchange_weak(free, end, std::memory_order_relaxed));
    return MonoTime{Nanos{end}};
  }

  std::atomic<std::int64_t>& next_free_;
  std::int64_t rate_;
  Fifo<Held> held_;
  std::uint64_t held_bytes_ = 0;
  CompactOptional<MonoTime> due_;  // of the piece at the front, once reserved
  MonoTime no_credit_before_ = MonoTime::min();
  bool blocked_ = false;
  bool ended_ = false;
};

}  // namespace

const FaultInfo bandwidth_fault{
    .type = "bandwidth",
    .doc = "Passes no more than so many bytes per second; 0 passes none",
    .details =
        "Bytes leave in pieces of at most 10 ms of the rate. A pause earns no credit, neither of the source nor of a "
        "slow reader. With `scope=client` or `scope=proxy` the cap is shared by the sessions of the client or of the "
        "proxy, in turns of a piece; with `direction=both` it is shared by the two directions. It holds at most "
        "100 ms of the rate (and at least 64 KiB); then the source is not read.",
    .differs = "The cap may be shared. A negative rate is refused (it kills toxiproxy). Pieces are of 10 ms, not 100.",
    .attributes = {{.name = "rate",
                    .kind = AttributeKind::rate,
                    .default_value = std::int64_t{0},
                    .doc = "The cap; toxiproxy's unit is 1,000 bytes per second",
                    .classic_unit = 1000}},
    .classic = true,
    .shares = true,
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<BandwidthStage>(seat); }};

}  // namespace weir::fault
