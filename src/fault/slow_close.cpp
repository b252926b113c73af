#include "fault/catalog.h"

namespace weir::fault {
namespace {

class SlowCloseStage final : public Stage {
 public:
  explicit SlowCloseStage(const Seat& seat) : delay_(seat.spec.time("delay")) {}

  void on_chunk(StageContext& context, Chunk chunk) override { context.emit(std::move(chunk)); }
  void on_end(StageContext& context) override {
    ended_at_ = context.now();
    wait(context);
  }
  void on_alarm(StageContext& context) override { wait(context); }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    delay_ = spec.time("delay");
    if (ended_at_) wait(context);
  }
  void on_remove(StageContext& context) override {
    if (ended_at_) context.end(End::fin);
  }

 private:
  void wait(StageContext& context) {
    const MonoTime due = *ended_at_ + delay_;
    due <= context.now() ? context.end(End::fin) : context.arm(due);
  }

  Nanos delay_;
  std::optional<MonoTime> ended_at_;
};

}  // namespace

const FaultInfo slow_close_fault{
    .type = "slow_close",
    .doc = "Bytes pass; FIN is passed on so much later",
    .details = "Only the direction's own FIN waits: the other direction goes on meanwhile.",
    .differs = "toxiproxy knows no half-close: there, the first FIN ends both directions.",
    .attributes = {{.name = "delay",
                    .kind = AttributeKind::duration,
                    .default_value = std::int64_t{0},
                    .doc = "How much later",
                    .classic_unit = 1'000'000}},
    .classic = true,
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<SlowCloseStage>(seat); }};

}  // namespace weir::fault
