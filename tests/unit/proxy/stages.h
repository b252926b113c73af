// Fault stages as tests need them; the real ones stand in src/fault/ and know nothing of this.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "base/block.h"
#include "fault/stage.h"

namespace weir::proxy::scripted {

// Hands each chunk on after a time, the end too.
class DelayStage final : public fault::Stage {
 public:
  explicit DelayStage(Nanos delay) : delay_(delay) {}
  void on_chunk(fault::StageContext& context, Slice bytes) override {
    held_.emplace_back(context.now() + delay_, std::move(bytes));
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

 private:
  Nanos delay_;
  std::deque<std::pair<MonoTime, Slice>> held_;
  bool ended_ = false;
};

// Hands each chunk on at once, in pieces of `size`.
class SliceStage final : public fault::Stage {
 public:
  explicit SliceStage(BlockPool& blocks, std::size_t size) : blocks_(blocks), size_(size) {}
  void on_chunk(fault::StageContext& context, Slice bytes) override {
    for (auto rest = bytes.bytes(); !rest.empty(); rest = rest.subspan(std::min(size_, rest.size()))) {
      context.emit(blocks_.copy(rest.first(std::min(size_, rest.size()))));
    }
  }

 private:
  BlockPool& blocks_;
  std::size_t size_;
};

// Lets so many bytes pass, then ends things.
class LimitStage final : public fault::Stage {
 public:
  LimitStage(BlockPool& blocks, std::size_t limit, fault::End how) : blocks_(blocks), left_(limit), how_(how) {}
  void on_chunk(fault::StageContext& context, Slice bytes) override {
    const std::size_t n = std::min(left_, bytes.size());
    left_ -= n;
    if (n > 0) context.emit(blocks_.copy(bytes.bytes().first(n)));
    if (left_ == 0) context.end(how_);
  }

 private:
  BlockPool& blocks_;
  std::size_t left_;
  fault::End how_;
};

// Hands nothing on until an alarm that never comes: as a stage that waits for something else would.
class SwallowStage final : public fault::Stage {
 public:
  void on_chunk(fault::StageContext&, Slice bytes) override { held_.push_back(std::move(bytes)); }
  void on_end(fault::StageContext&) override {}

 private:
  std::deque<Slice> held_;
};

}  // namespace weir::proxy::scripted
