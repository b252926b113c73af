#include "base/fifo.h"
#include "fault/catalog.h"

namespace weir::fault {
namespace {

class StallStage final : public Stage {
 public:
  void on_chunk(StageContext&, Chunk chunk) override { held_.push_back(std::move(chunk)); }
  void on_end(StageContext&) override { ended_ = true; }
  void on_remove(StageContext& context) override {
    for (; !held_.empty(); held_.pop_front()) context.emit(std::move(held_.front()));
    if (ended_) context.end(End::fin);
  }
  [[nodiscard]] auto memory() const -> std::size_t override { return held_.memory(); }
  [[nodiscard]] auto takes_more() const -> bool override { return false; }

 private:
  Fifo<Chunk> held_;  // at most what was in hand when it began
  bool ended_ = false;
};

}  // namespace

const FaultInfo stall_fault{
    .type = "stall",
    .doc = "Freezes the stream without a FIN, as an unplugged cable does, and goes on when it ends",
    .details =
        "Nothing is read and nothing is written: say when with `after`, and for how long with `for`. The kernel still "
        "acknowledges what a peer sends until its receive buffer is full, so a peer notices later than it would notice "
        "a real cable, and a peer that resets its connection is heard.",
    .differs = "",
    .default_direction = FaultDirection::both,
    .make = [](const Seat&) -> std::unique_ptr<Stage> { return std::make_unique<StallStage>(); }};

}  // namespace weir::fault
