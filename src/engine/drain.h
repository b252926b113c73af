#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "event/close_cause.h"

namespace weir::engine {

// How a process that has sessions comes to its end. It is told facts and answers with orders; it knows no signal, no
// clock and no engine, so that tap, serve and a test run the same.
//
//   running -> draining -> ending      is_over(): stop, once all sessions have ended
//      '--------------------^          end(), such as the closing of an observer's output
//
// One thread.
class Drain {
 public:
  // None: no limit to the time that sessions have.
  explicit Drain(std::optional<Nanos> limit) : limit_(limit) {}

  struct Orders {
    bool stop_accepting = false;
    std::string say{};  // a line for people, or empty
    struct EndSessions {
      event::CloseCause cause;
      std::string detail;
    };
    std::optional<EndSessions> end_sessions{};  // now
  };

  // SIGINT or SIGTERM came. The first stops accepting, the second ends the `live` sessions.
  [[nodiscard]] auto on_signal(MonoTime now, std::uint64_t live) -> Orders;
  // Something else asks for the end, such as the end of a parent: as a first signal, and nothing if one came.
  [[nodiscard]] auto begin(MonoTime now, std::uint64_t live) -> Orders;
  // Nobody sees any more what is done here, or all is done that was wanted: sessions end now, with this detail.
  [[nodiscard]] auto end(std::string detail) -> Orders;
  [[nodiscard]] auto on_output_closed() -> Orders { return end("the view's output was closed"); }
  [[nodiscard]] auto on_time(MonoTime now) -> Orders;
  // When on_time() has something to do.
  [[nodiscard]] auto deadline() const -> std::optional<MonoTime>;

  [[nodiscard]] auto has_begun() const -> bool { return phase_ != Phase::running; }
  [[nodiscard]] auto is_over(bool all_sessions_ended) const -> bool { return has_begun() && all_sessions_ended; }
  // Has no effect on a drain that has begun.
  void set_limit(std::optional<Nanos> limit) {
    if (!has_begun()) limit_ = limit;
  }

 private:
  enum class Phase : std::uint8_t { running, draining, ending };
  [[nodiscard]] auto end_now(const event::CloseCause& cause, std::string detail) -> Orders;

  std::optional<Nanos> limit_;
  std::optional<MonoTime> end_;
  Phase phase_ = Phase::running;
};

}  // namespace weir::engine
