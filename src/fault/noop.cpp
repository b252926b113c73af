#include "fault/catalog.h"

namespace weir::fault {
namespace {

class NoopStage final : public Stage {
 public:
  void on_chunk(StageContext& context, Chunk chunk) override { context.emit(std::move(chunk)); }
};

}  // namespace

const FaultInfo noop_fault{
    .type = "noop",
    .doc = "Changes nothing",
    .details = "It stands in the path of the bytes all the same: with it, they are not spliced inside the kernel.",
    .differs = "",
    .classic = true,
    .make = [](const Seat&) -> std::unique_ptr<Stage> { return std::make_unique<NoopStage>(); }};

}  // namespace weir::fault
