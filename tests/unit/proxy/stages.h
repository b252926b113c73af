// Fault stages as tests need them; the real ones stand in src/fault/ and know nothing of this.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "fault/catalog.h"
#include "fault/chain.h"

namespace weir::proxy::scripted {

// Hands each chunk on after a time, the end too.
class DelayStage final : public fault::Stage {
 public:
  explicit DelayStage(Nanos delay) : delay_(delay) {}
  void on_chunk(fault::StageContext& context, fault::Chunk chunk) override {
    held_.emplace_back(context.now() + delay_, std::move(chunk));
    context.arm(held_.front().first);
  }
  void on_end(fault::StageContext& context) override {
    ended_ = true;
    if (held_.empty()) context.end(fault::End::fin);
  }
  void on_alarm(fault::StageContext& context) override {
    while (!held_.empty() && held_.front().first <= context.now()) {
      context.emit(std::move(held_.front().second));
      held_.pop_front();
    }
    if (!held_.empty()) context.arm(held_.front().first);
    if (held_.empty() && ended_) context.end(fault::End::fin);
  }
  void on_remove(fault::StageContext& context) override {
    for (; !held_.empty(); held_.pop_front()) context.emit(std::move(held_.front().second));
  }

 private:
  Nanos delay_;
  std::deque<std::pair<MonoTime, fault::Chunk>> held_;
  bool ended_ = false;
};

// Hands each chunk on at once, in pieces of `size`.
class SliceStage final : public fault::Stage {
 public:
  explicit SliceStage(std::size_t size) : size_(size) {}
  void on_chunk(fault::StageContext& context, fault::Chunk chunk) override {
    while (!chunk.empty()) context.emit(chunk.take(std::min(size_, chunk.size())));
  }

 private:
  std::size_t size_;
};

// Lets so many bytes pass, then ends things.
class LimitStage final : public fault::Stage {
 public:
  LimitStage(std::size_t limit, fault::End how) : left_(limit), how_(how) {}
  void on_chunk(fault::StageContext& context, fault::Chunk chunk) override {
    const std::size_t n = std::min(left_, chunk.size());
    left_ -= n;
    context.emit(chunk.take(n));
    if (left_ == 0) context.end(how_);
  }

 private:
  std::size_t left_;
  fault::End how_;
};

// Hands nothing on until an alarm that never comes: as a stage that waits for something else would.
class SwallowStage final : public fault::Stage {
 public:
  void on_chunk(fault::StageContext&, fault::Chunk chunk) override { held_.push_back(std::move(chunk)); }
  void on_end(fault::StageContext&) override {}

 private:
  std::deque<fault::Chunk> held_;
};

// A fault that is one such stage. Outlives the chain that it is put into.
class StageFault {
 public:
  explicit StageFault(std::unique_ptr<fault::Stage> stage) {
    info_.stage = std::move(stage);
    info_.make = [](const fault::Seat& seat) -> std::unique_ptr<fault::Stage> {
      return std::move(static_cast<const Info*>(seat.spec.type)->stage);
    };
    fault_.spec = std::make_shared<const fault::FaultSpec>(fault::FaultSpec{.type = &info_, .name = "stage"});
    fault_.counters = std::make_shared<fault::FaultCounters>();
  }
  [[nodiscard]] auto fault() -> fault::SessionFault* { return &fault_; }

 private:
  struct Info : fault::FaultInfo {
    mutable std::unique_ptr<fault::Stage> stage;
  };
  Info info_;
  fault::SessionFault fault_;
};

}  // namespace weir::proxy::scripted
