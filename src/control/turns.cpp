#include "control/turns.h"

#include <fmt/format.h>

#include <exception>

#include "base/out_of_memory.h"

namespace weir::control {

void Turns::add(std::string what, Step step) {
  loop_.assert_on_loop_thread();
  if (abandoned_) return;
  jobs_.push_back({std::move(what), std::move(step)});
  if (!working_ && !has_turn_) work();
}

void Turns::work() {
  working_ = true;
  has_turn_ = false;
  const MonoTime end = loop_.clock().mono() + longest;
  if (order_ == Order::in_turns && front_had_its_turn_) {
    jobs_.push_back(std::move(jobs_.front()));
    jobs_.pop_front();
  }
  while (!jobs_.empty()) {
    bool has_more = false;
    try {
      has_more = jobs_.front().step();
    } catch (const std::exception& error) {
      // A defect of ours must not end everybody's sessions.
      (void)contained([&] { log_.error(fmt::format("{} failed: {}", jobs_.front().what, error.what())); });
    }
    if (!has_more) jobs_.pop_front();
    front_had_its_turn_ = has_more;
    if (loop_.clock().mono() >= end) break;  // mutant: bulk-change-holds-the-loop-up
  }
  working_ = false;
  if (!jobs_.empty()) next_turn();
}

void Turns::next_turn() {
  has_turn_ = true;
  // Where there is no memory to wait, it goes on.
  if (!pace_ || !contained([this] { pace_([this] { loop_.run_again(*this); }); })) loop_.run_again(*this);
}

}  // namespace weir::control
