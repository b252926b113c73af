#include "fault/catalog.h"

namespace weir::fault {
namespace {

class TimeoutStage final : public Stage {
 public:
  explicit TimeoutStage(const Seat& seat) : session_(seat.session), timeout_(seat.spec.time("timeout")) {}

  void on_open(StageContext& context) override {
    session_.touched = context.now();
    wait(context);
  }
  void on_chunk(StageContext& context, Chunk chunk) override {
    context.drop(chunk.size());
    session_.touched = context.now();
    wait(context);
  }
  void on_alarm(StageContext& context) override { wait(context); }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    timeout_ = spec.time("timeout");
    wait(context);
  }
  // Bytes are missing: the stream cannot go on.
  void on_remove(StageContext& context) override { context.end(End::session_fin); }

 private:
  void wait(StageContext& context) {
    if (timeout_ == Nanos{0}) return context.disarm();
    const MonoTime due = *session_.touched + timeout_;
    due <= context.now() ? context.end(End::session_fin) : context.arm(due);
  }

  SessionState& session_;
  Nanos timeout_;
};

}  // namespace

const FaultInfo timeout_fault{
    .type = "timeout",
    .doc = "Drops every byte, and ends the session when none came for so long; 0 never ends it",
    .details =
        "The time starts anew with every chunk that is dropped. Both legs are then closed in order. As bytes are "
        "missing, removing the fault ends the sessions that it applied to, and so does the end of its `for`.",
    .differs = "Removing it leaves the sessions alone to which it did not apply.",
    .attributes = {{.name = "timeout",
                    .kind = AttributeKind::duration,
                    .default_value = std::int64_t{0},
                    .doc = "How long without a byte; 0: the session stays, and silent",
                    .classic_unit = 1'000'000}},
    .classic = true,
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<TimeoutStage>(seat); }};

}  // namespace weir::fault
