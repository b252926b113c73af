#include "base/fifo.h"
#include "fault/catalog.h"
#include "fault/holding_stage.h"

namespace weir::fault {
namespace {

class ResetPeerStage final : public Stage {
 public:
  explicit ResetPeerStage(const Seat& seat) : timeout_(seat.spec.time("timeout")) {}

  void on_chunk(StageContext& context, Chunk chunk) override {
    held_bytes_ += chunk.size();
    held_.push_back(std::move(chunk));
    begin(context);
  }
  void on_end(StageContext& context) override {
    ended_ = true;
    begin(context);
  }
  void on_alarm(StageContext& context) override { wait(context); }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    timeout_ = spec.time("timeout");
    if (begun_) wait(context);
  }
  void on_remove(StageContext& context) override {
    context.disarm();
    for (; !held_.empty(); held_.pop_front()) context.emit(std::move(held_.front()));
    if (ended_) context.end(End::fin);
  }
  [[nodiscard]] auto memory() const -> std::size_t override { return held_.memory(); }
  [[nodiscard]] auto takes_more() const -> bool override { return held_bytes_ < enough_held; }

 private:
  void begin(StageContext& context) {
    if (!begun_) begun_ = context.now();
    wait(context);
  }
  void wait(StageContext& context) {
    const MonoTime due = *begun_ + timeout_;
    due <= context.now() ? context.end(End::session_reset) : context.arm(due);
  }

  Nanos timeout_;
  Fifo<Chunk> held_;  // for the case that the fault is removed before its time
  std::size_t held_bytes_ = 0;
  std::optional<MonoTime> begun_;
  bool ended_ = false;
};

}  // namespace

const FaultInfo reset_peer_fault{
    .type = "reset_peer",
    .doc = "Resets both ends (RST) so long after the first byte, or the FIN, of the direction",
    .details =
        "The direction's first byte or FIN after the fault applies starts the time; nothing passes in this direction "
        "meanwhile. Then both legs get RST at once: what the kernel has not sent is discarded.",
    .differs =
        "Sessions that were already open get RST too, not a FIN. Where probability says no, nothing is changed. "
        "Removing the fault before its time releases what waited; toxiproxy's DELETE waits for the reset.",
    .attributes = {{.name = "timeout",
                    .kind = AttributeKind::duration,
                    .default_value = std::int64_t{0},
                    .doc = "How long after the first byte; 0: at once",
                    .classic_unit = 1'000'000}},
    .classic = true,
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<ResetPeerStage>(seat); }};

}  // namespace weir::fault
