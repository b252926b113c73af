#include <algorithm>

#include "fault/catalog.h"

namespace weir::fault {
namespace {

class LimitDataStage final : public Stage {
 public:
  explicit LimitDataStage(const Seat& seat) : counted_(seat.shared.counted) { take(seat.spec); }

  void on_chunk(StageContext& context, Chunk chunk) override {
    const std::uint64_t granted = grant(chunk.size());
    context.emit(chunk.take(granted));
    if (!chunk.empty()) context.drop(chunk.size());
    if (counted_.load(std::memory_order_relaxed) >= limit_) context.end(End::session_fin);
  }
  void on_update(StageContext&, const FaultSpec& spec) override { take(spec); }

 private:
  void take(const FaultSpec& spec) { limit_ = static_cast<std::uint64_t>(spec.integer("bytes")); }
  // How many of so many bytes may pass. Workers may come at once.
  auto grant(std::uint64_t wanted) -> std::uint64_t {
    std::uint64_t counted = counted_.load(std::memory_order_relaxed);
    std::uint64_t granted = 0;
    do {
      granted = std::min(wanted, limit_ - std::min(counted, limit_));
    } while (!counted_.compare_exchange_weak(counted, counted + granted, std::memory_order_relaxed));
    return granted;
  }

  std::atomic<std::uint64_t>& counted_;
  std::uint64_t limit_ = 0;
};

}  // namespace

const FaultInfo limit_data_fault{
    .type = "limit_data",
    .doc = "Passes so many bytes, then ends the session",
    .details =
        "The limit is exact to the byte. Both legs are closed in order when it is reached, and with 0 when the first "
        "byte comes. The count survives changes of the limit. It counts from when the fault was added; with "
        "`scope=client` or `scope=proxy` all sessions of the scope count together, with `direction=both` the two "
        "directions do.",
    .differs = "",
    .attributes = {{.name = "bytes",
                    .kind = AttributeKind::size,
                    .default_value = std::int64_t{0},
                    .doc = "How many bytes pass",
                    .classic_unit = 1}},
    .classic = true,
    .shares = true,
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<LimitDataStage>(seat); }};

}  // namespace weir::fault
