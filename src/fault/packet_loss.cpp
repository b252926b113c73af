#include "fault/catalog.h"
#include "fault/correlated.h"

namespace weir::fault {
namespace {

class PacketLossStage final : public Stage {
 public:
  explicit PacketLossStage(const Seat& seat) : draws_(seat.draws) { take(seat.spec); }

  void on_chunk(StageContext& context, Chunk chunk) override {
    if (chunk.is_new()) lost_ = draws_.next(chunk.offset) < rate_;  // mutant: message-drawn-for-each-chunk
    lost_ ? context.drop(chunk.size()) : context.emit(std::move(chunk));
  }
  void on_update(StageContext&, const FaultSpec& spec) override { take(spec); }

 private:
  void take(const FaultSpec& spec) {
    rate_ = spec.fraction("loss_rate");
    draws_.set_correlation(spec.fraction("correlation"));
  }

  CorrelatedDraws draws_;
  double rate_ = 0;
  bool lost_ = false;
};

}  // namespace

const FaultInfo packet_loss_fault{
    .type = "packet_loss",
    .doc = "Drops chunks, so it corrupts the stream on purpose",
    .details =
        "A chunk is what one read delivered, so which bytes are missing depends on how they arrived; the lot of a "
        "chunk "
        "is drawn by the offset of its first byte. No TCP connection loses bytes like that: use it to see what a "
        "protocol's parser does with holes, and `loss` for a lossy network.",
    .differs = "",
    .attributes = {{.name = "loss_rate",
                    .kind = AttributeKind::fraction,
                    .default_value = 0.1,
                    .doc = "The part of the chunks that is dropped"},
                   {.name = "correlation",
                    .kind = AttributeKind::fraction,
                    .default_value = 0.0,
                    .doc = "How much a chunk's lot resembles that of the one before"}},
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<PacketLossStage>(seat); }};

}  // namespace weir::fault
