#include "fault/catalog.h"
#include "fault/holding_stage.h"

namespace weir::fault {
namespace {

class FirstByteDelayStage final : public HoldingStage {
 public:
  explicit FirstByteDelayStage(const Seat& seat) : delay_(seat.spec.time("delay")) {}

  void on_chunk(StageContext& context, Chunk chunk) override {
    if (!first_at_) first_at_ = context.now();
    hold(context, std::move(chunk), *first_at_ + delay_);
  }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    delay_ = spec.time("delay");
    if (first_at_) hasten(context, [this](const Held&) { return *first_at_ + delay_; });
  }

 private:
  Nanos delay_;
  std::optional<MonoTime> first_at_;
};

}  // namespace

const FaultInfo first_byte_delay_fault{
    .type = "first_byte_delay",
    .doc = "Holds the direction's first byte, and what follows it meanwhile, for so long",
    .details = "Downstream it is a server that takes long to begin its answer. What comes later passes at once.",
    .differs = "",
    .attributes =
        {{.name = "delay", .kind = AttributeKind::duration, .default_value = std::int64_t{0}, .doc = "How long"}},
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<FirstByteDelayStage>(seat); }};

}  // namespace weir::fault
