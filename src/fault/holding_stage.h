#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "base/fifo.h"
#include "fault/stage.h"

namespace weir::fault {

// What a stage that only paces holds before it asks for no more: a link's buffer, not a disk.
inline constexpr std::size_t enough_held = 128 * 1024;

// A stage that releases each chunk at a moment of its own, in order, and the end behind the last.
class HoldingStage : public Stage {
 public:
  void on_end(StageContext& context) override {
    ended_ = true;
    release_due(context);
  }
  void on_alarm(StageContext& context) override { release_due(context); }
  void on_remove(StageContext& context) override {
    context.disarm();
    while (!held_.empty()) release_front(context);  // mutant: removed-fault-forgets-what-it-held
    if (ended_) context.end(End::fin);
  }
  [[nodiscard]] auto memory() const -> std::size_t override { return held_.memory(); }

 protected:
  struct Held {
    Chunk chunk;
    MonoTime due{};
    MonoTime arrived{};
  };

  // Not before `due`, nor before what is held already.
  void hold(StageContext& context, Chunk chunk, MonoTime due) {
    due = std::max(due, last_due_);
    if (held_.empty() && due <= context.now()) return context.emit(std::move(chunk));
    last_due_ = due;
    held_.push_back({std::move(chunk), due, context.now()});
    if (held_.size() == 1) context.arm(due);
  }
  // Asks for every held chunk's moment again; none comes to be later than it was.
  template <class DueOf>
  void hasten(StageContext& context, DueOf due_of) {
    MonoTime earliest = MonoTime::min();
    for (Held& held : held_) {
      held.due = earliest = std::max(earliest, std::min(held.due, due_of(held)));
    }
    last_due_ = earliest;
    release_due(context);
  }
  void release_due(StageContext& context) {
    while (!held_.empty() && held_.front().due <= context.now()) release_front(context);
    if (!held_.empty()) {
      context.arm(held_.front().due);
    } else if (ended_) {
      context.end(End::fin);
    }
  }

 private:
  void release_front(StageContext& context) {
    Chunk chunk = std::move(held_.front().chunk);
    held_.pop_front();
    context.emit(std::move(chunk));
  }

  Fifo<Held> held_;
  MonoTime last_due_ = MonoTime::min();
  bool ended_ = false;
};

}  // namespace weir::fault
