// How a pump runs its stage; included by pump.h alone.
#pragma once

#include "proxy/pump.h"

namespace weir::proxy {

// A stage's view of its pump during one call.
template <Endpoint Source, Endpoint Sink>
class Pump<Source, Sink>::StageView final : public fault::StageContext {
 public:
  StageView(StageRun& run, MonoTime now, std::uint64_t offset, bool blocked)
      : run_(run), now_(now), offset_(offset), blocked_(blocked) {}
  [[nodiscard]] auto now() const -> MonoTime override { return now_; }
  void emit(Slice bytes) override {
    run_.let_go(bytes.size());
    if (!bytes.empty()) run_.released.push_back(std::move(bytes));
  }
  void drop(std::size_t count) override { run_.let_go(count); }
  void arm(MonoTime when) override { run_.alarm = when; }
  void disarm() override { run_.alarm.reset(); }
  void end(fault::End how) override { run_.end = how; }
  [[nodiscard]] auto offset() const -> std::uint64_t override { return offset_; }
  [[nodiscard]] auto sink_is_blocked() const -> bool override { return run_.blocked_told |= blocked_, blocked_; }

 private:
  StageRun& run_;
  MonoTime now_;
  std::uint64_t offset_;
  bool blocked_;
};

template <Endpoint Source, Endpoint Sink>
template <class Call>
void Pump<Source, Sink>::call_stage(MonoTime now, Call call) {
  StageView view(*stage_, now, bytes_, blocked_);
  call_stage_with(view, call);
}

template <Endpoint Source, Endpoint Sink>
template <class Call>
void Pump<Source, Sink>::call_stage_with(StageView& view, Call call) {
  call(*stage_->stage, view);
  if (!stage_->end || state_ != PumpState::flowing) return;
  state_ = PumpState::finishing;  // by its own wish: what it holds is given up
  stage_->let_go(stage_->held);
}

// All that was due is sent. True: the source may be read, or its end passed on.
template <Endpoint Source, Endpoint Sink>
auto Pump<Source, Sink>::stage_lets_go_on(MonoTime now) -> bool {
  if (std::exchange(stage_->blocked_told, false)) {
    call_stage(now, [](fault::Stage& stage, StageView& view) { stage.on_room(view); });
    if (due()) return false;
  }
  if (stage_->end == fault::End::session_reset) return false;  // no FIN before the RST
  if (state_ != PumpState::flowing) return stage_->held == 0 && stage_->end.has_value();
  if (stage_->full()) {
    stage_->count_full();
    return false;
  }
  if (stage_->stage->is_spent()) remove_idle_stage();
  return true;
}

// Just read: they are the last of bytes_. `now` is read after the read, so that nothing is early.
template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::give_to_stage(Slice bytes, MonoTime now) {
  stage_->take_in(bytes.size());
  stage_->full_told = false;
  StageView view(*stage_, now, bytes_ - bytes.size(), blocked_);
  call_stage_with(view, [&](fault::Stage& stage, StageView& same) { stage.on_chunk(same, std::move(bytes)); });
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::set_stage(std::unique_ptr<fault::Stage> faults, MonoTime now, std::uint64_t queue_limit,
                                   fault::ByteBudget* budget) {
  stage_ = std::make_unique<StageRun>();
  stage_->budget = budget;
  stage_->queue_limit = queue_limit;
  stage_->stage = std::move(faults);
  call_stage(now, [](fault::Stage& stage, StageView& view) { stage.on_open(view); });
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::remove_idle_stage() {
  if (stage_ && state_ == PumpState::flowing && stage_->held == 0 && stage_->released.empty()) stage_.reset();
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::on_alarm(MonoTime now) {
  if (!stage_ || !stage_->alarm || *stage_->alarm > now) return;
  stage_->alarm.reset();
  call_stage(now, [](fault::Stage& stage, StageView& view) { stage.on_alarm(view); });
}

}  // namespace weir::proxy
