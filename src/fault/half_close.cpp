#include "fault/catalog.h"

namespace weir::fault {
namespace {

class HalfCloseStage final : public Stage {
 public:
  explicit HalfCloseStage(const Seat& seat) : delay_(seat.spec.time("delay")) {}

  void on_open(StageContext& context) override {
    begun_ = context.now();
    wait(context);
  }
  void on_chunk(StageContext& context, Chunk chunk) override { context.emit(std::move(chunk)); }
  void on_alarm(StageContext& context) override { wait(context); }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    delay_ = spec.time("delay");
    wait(context);
  }

 private:
  void wait(StageContext& context) {
    const MonoTime due = begun_ + delay_;
    due <= context.now() ? context.end(End::fin) : context.arm(due);
  }

  Nanos delay_;
  MonoTime begun_{};
};

}  // namespace

const FaultInfo half_close_fault{
    .type = "half_close",
    .doc = "Sends FIN in one direction after so long; the other goes on",
    .details =
        "The time counts from when the fault begins. Nothing is read from the direction's source after that, so a "
        "source that goes on sending fills the kernel's buffers. Removing the fault cannot take the FIN back.",
    .differs = "",
    .attributes = {{.name = "delay",
                    .kind = AttributeKind::duration,
                    .default_value = std::int64_t{0},
                    .doc = "How long after the fault begins"}},
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<HalfCloseStage>(seat); }};

}  // namespace weir::fault
