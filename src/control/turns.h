// Work that takes longer than others on the loop may wait for.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "base/log.h"
#include "net/event_loop.h"

namespace weir::control {

// Long jobs, each made of many short steps; at most about `longest` of it in a turn of the loop, so that everything
// else on the loop goes on meanwhile. The loop's thread only.
class Turns final : private net::Rerun {
 public:
  // Does a little: well below a millisecond. True: there is more to do. What it throws is logged, and ends its job.
  using Step = std::function<bool()>;
  // What has to come before the next turn's share: it calls `go_on` on the loop, once, now or later.
  using Pace = std::function<void(std::function<void()> go_on)>;
  enum class Order : std::uint8_t {
    one_by_one,  // in which they came, so that no job meets another that is half done
    in_turns,    // each gets the share of a turn, so that a short one does not wait for long ones
  };
  // Both outlive it, and what calls `go_on` calls it no more when this is gone.
  Turns(net::EventLoop& loop, Log& log, Pace pace = {}, Order order = Order::one_by_one)
      : loop_(loop), log_(log), pace_(std::move(pace)), order_(order) {}
  ~Turns() { loop_.cancel(*this); }
  Turns(const Turns&) = delete;
  auto operator=(const Turns&) -> Turns& = delete;

  // If nothing waits, the job begins before this returns, and a short one is done then. `what` it is, for the log.
  void add(std::string what, Step step);
  // What waits, or is added from now on, is not done. Not from within a job.
  void abandon() {
    abandoned_ = true;
    front_had_its_turn_ = false;
    jobs_.clear();
  }
  [[nodiscard]] auto waiting() const -> std::size_t { return jobs_.size(); }

  static constexpr std::size_t most_asked_for = 64;  // that wait, before a client's is refused
  static constexpr Nanos longest = std::chrono::milliseconds{1};

 private:
  void on_rerun() override { work(); }
  void work();
  void next_turn();

  struct Job {
    std::string what;
    Step step;
  };
  net::EventLoop& loop_;
  Log& log_;
  Pace pace_;
  Order order_;
  std::deque<Job> jobs_;  // the first is under way
  bool front_had_its_turn_ = false;
  bool abandoned_ = false;
  bool working_ = false;
  bool has_turn_ = false;  // the next one is on its way
};

}  // namespace weir::control
