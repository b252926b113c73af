#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "event/close_cause.h"
#include "proxy/pump.h"
#include "proxy/session_clocks.h"
#include "proxy/timeouts.h"

namespace weir::proxy {

// Readiness news of a leg, translated from the loop's event bits.
struct Readiness {
  bool readable = false;
  bool writable = false;
  bool hang_up = false;  // FIN or RST may have come: EPOLLRDHUP, EPOLLHUP
  bool urgent = false;   // EPOLLPRI
  bool notice = false;   // EPOLLERR: an error, or a notice in the error queue
};

// The relaying and closing of one session: two legs, two pumps, how it ends, and the facts that its
// clocks (session_clocks.h) run by. Sans-io but for its ends: time is given, and what it wants next is asked of it
// after every call. Runs on the worker's thread; lives in its Session.
//
//   relaying --both directions finished----------------------------------------> closed   (FIN each way)
//      |-----a leg broken--> delivering_before_reset --all delivered, or grace--> closed   (RST to the other leg)
//      '-----a timeout, a stage, or the worker ends it--------------------------> closed   (FIN, or RST if asked)
//
// A stage's session_fin ends both directions as two FINs would, so that what is due still goes out.
// delivering_before_reset: a reset is passed on only after delivery. Linger 0 at once discards what the
// sink's kernel has not sent: it delivered 113 KB of 4.2 MB (measured).
enum class RelayPhase : std::uint8_t { relaying, delivering_before_reset, closed };

template <Endpoint ClientEnd, Endpoint ServerEnd>
class Relay {
 public:
  using Context = PumpContext<typename ClientEnd::Pipe>;

  Relay(Context& context, const Timeouts& timeouts, event::SessionEvents events)
      : context_(context), timeouts_(&timeouts), events_(events) {}
  Relay(const Relay&) = delete;
  auto operator=(const Relay&) -> Relay& = delete;

  // The legs' ends may be set before start(): readiness that arrives early is kept.
  [[nodiscard]] auto events() -> event::SessionEvents& { return events_; }
  [[nodiscard]] auto events() const -> const event::SessionEvents& { return events_; }
  [[nodiscard]] auto client() -> Leg<ClientEnd>& { return client_; }
  [[nodiscard]] auto client() const -> const Leg<ClientEnd>& { return client_; }
  [[nodiscard]] auto server() -> Leg<ServerEnd>& { return server_; }
  [[nodiscard]] auto server() const -> const Leg<ServerEnd>& { return server_; }
  [[nodiscard]] auto upstream() -> Pump<ClientEnd, ServerEnd>& { return upstream_; }
  [[nodiscard]] auto downstream() -> Pump<ServerEnd, ClientEnd>& { return downstream_; }

  // Both legs are connected: bytes flow. `accepted`: when the session began, for max_duration.
  // `from_client`, `from_server`: read from that leg already.
  void start(MonoTime now, MonoTime accepted, Slice from_client = {}, Slice from_server = {});

  // Other timeouts, which stay where they are; clocks that run count from when they began.
  void set_timeouts(const Timeouts& timeouts) {
    timeouts_ = &timeouts;
    clocks_.timeouts_changed();
  }

  // events() were selected anew: the legs take the kernel's times that are wanted now, and no others.
  void observers_changed();
  // The kernel's counters of both legs, to the observers that want them. Only while it relays.
  void tell_counters(event::ProbePoint point);

  // News of a leg. Before start() it is only noted.
  void on_ready(LegName leg, const Readiness& news, MonoTime now);
  // Asked for by wants_rerun(), or an observer has room again.
  void rerun(MonoTime now);
  // At wants_alarm().
  void on_alarm(MonoTime now);
  // At or after deadline(): ends the session if one of its clocks has run out.
  void on_deadline(MonoTime now);
  // Ends it from outside: legs are closed in order, or with RST.
  void end(const event::CloseCause& cause, bool reset, MonoTime now);

  [[nodiscard]] auto phase() const -> RelayPhase { return phase_; }
  [[nodiscard]] auto wants_rerun() const -> bool { return wants_rerun_ && phase_ != RelayPhase::closed; }
  [[nodiscard]] auto parked() const -> bool { return parked_ && phase_ != RelayPhase::closed; }
  [[nodiscard]] auto wants_alarm() const -> CompactOptional<MonoTime>;
  // No clock runs out before this; later activity may move it on (that is not announced), only
  // `deadline_moved_closer` announces that it came closer. None: no clock runs.
  [[nodiscard]] auto deadline() const -> std::optional<MonoTime>;
  [[nodiscard]] auto take_deadline_moved_closer() -> bool { return clocks_.take_moved_closer(); }

  // After phase() is closed.
  [[nodiscard]] auto cause() const -> const event::CloseCause& { return cause_; }
  // The fault behind it, if a fault ended the session or was the first to end a direction.
  [[nodiscard]] auto end_maker() const -> const fault::FaultSpec*;
  // errno behind a broken leg, or 0.
  [[nodiscard]] auto error() const -> int { return cause_.leg == LegName::server ? server_.error : client_.error; }
  // A reset was passed on before everything was delivered, as reset_grace had passed.
  [[nodiscard]] auto grace_expired() const -> bool { return grace_expired_; }
  [[nodiscard]] auto longest_silence() const -> Nanos { return clocks_.longest_silence(); }
  // How long a direction stood still because an observer's ring was full, to 10 us.
  [[nodiscard]] auto waited_for_observers() const -> Nanos { return waited_for_observers_; }
  [[nodiscard]] auto totals() const -> std::array<event::DirectionTotals, 2>;
  // Steps in a row that moved nothing reached this bound so often: the watchdog of a spinning loop.
  [[nodiscard]] auto watchdog_trips() const -> unsigned { return watchdog_trips_; }

  static constexpr unsigned idle_steps_allowed = 1000;

 private:
  void step(MonoTime now);
  void note_fins(MonoTime now);
  void note_parked(bool parked, MonoTime now);
  void look_for_silent_death(LegName leg);
  [[nodiscard]] auto carry_out_fault_end(MonoTime now) -> bool;
  void deliver_before_reset(LegName broken, MonoTime now);
  void poll_anew(MonoTime now);
  void pass_reset_on_when_delivered(MonoTime now);
  void tell_last_evidence();
  [[nodiscard]] auto counters_are_due(Nanos silence, MonoTime now) -> bool;
  void close(const event::CloseCause& cause, bool reset, MonoTime now);
  [[nodiscard]] auto cause_of_break(LegName leg, MonoTime now) const -> event::CloseCause;
  [[nodiscard]] auto held_back() const -> bool;
  [[nodiscard]] auto age(MonoTime now) const -> Nanos { return now - clocks_.accepted(); }
  [[nodiscard]] auto leg_broken(LegName leg) const -> bool {
    return leg == LegName::client ? client_.broken : server_.broken;
  }

  Context& context_;
  const Timeouts* timeouts_;
  event::SessionEvents events_;
  Leg<ClientEnd> client_;
  Leg<ServerEnd> server_;
  Pump<ClientEnd, ServerEnd> upstream_{Direction::upstream};
  Pump<ServerEnd, ClientEnd> downstream_{Direction::downstream};

  // A session is kept small. A short age begins anew at 0 each 12 hours; what is measured with it is shorter.
  using PollStep = std::chrono::duration<std::uint16_t, std::milli>;
  using ShortTime = std::chrono::duration<std::uint32_t, std::ratio<1, 100'000>>;
  [[nodiscard]] auto short_age(MonoTime now) const -> ShortTime {
    using Long = std::chrono::duration<std::int64_t, ShortTime::period>;
    return ShortTime(static_cast<std::uint32_t>(std::chrono::duration_cast<Long>(age(now)).count()));
  }

  SessionClocks clocks_;
  // While a reset waits for the delivery of what came before it.
  MonoTime delivering_since_{};
  MonoTime next_poll_{};
  std::uint64_t left_in_kernel_ = 0;  // unsent when the reset was passed on, in the direction from broken_leg_
  event::CloseCause cause_;
  std::uint16_t idle_steps_ = 0;      // at most idle_steps_allowed
  std::uint16_t watchdog_trips_ = 0;  // it stays at its most
  ShortTime parked_at_{};             // an age; while parked_
  ShortTime counters_told_{};         // an age
  ShortTime waited_for_observers_{};
  PollStep poll_step_{};
  RelayPhase phase_ = RelayPhase::relaying;
  LegName broken_leg_{};
  std::optional<LegName> first_fin_;
  bool relaying_started_ = false;
  bool wants_rerun_ = false;
  bool parked_ = false;
  bool grace_expired_ = false;
  bool half_close_told_ = false;
  bool ended_by_fault_ = false;  // a fault asked for the session's end
  enum class SessionEnder : std::uint8_t { none, upstream, downstream };
  SessionEnder session_ender_ = SessionEnder::none;  // the pump whose fault did
  bool first_fin_is_made_ = false;                   // by a fault: first_fin_'s leg has not finished
};

}  // namespace weir::proxy

#include "proxy/relay_impl.h"
