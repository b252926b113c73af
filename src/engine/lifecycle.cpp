#include "engine/lifecycle.h"

#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "base/duration.h"
#include "base/out_of_memory.h"
#include "engine/drain.h"
#include "engine/lag_report.h"

namespace weir::engine {
namespace {

// "1 session", "2 sessions"
auto counted(std::uint64_t count, std::string_view what) -> std::string {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

auto served_signals(bool hangup) -> sigset_t {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  if (hangup) ::sigaddset(&set, SIGHUP);
  return set;
}

auto poll_timeout(Nanos left) -> int {
  constexpr std::int64_t hour = 3'600'000;
  return static_cast<int>(
      std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count(), 0, hour));
}

void block_signals(bool hangup) {
  const sigset_t set = served_signals(hangup);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // splice(2) has no MSG_NOSIGNAL, and a closed stdout is an ordinary end
}

auto open_signals(bool hangup) -> Result<Fd> {
  const sigset_t set = served_signals(hangup);
  Fd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return failure(fmt::format("cannot receive signals: {} (raise ulimit -n)", errno_text(errno)), errno);
  return signals;
}

auto run_to_end(Engine& engine, const Fd& signals, const LifecycleOptions& options) -> Ending {
  const SystemClock& clock = SystemClock::instance();
  Drain drain(options.drain);
  LagReport lag;
  auto over = options.end_after ? std::optional(clock.mono() + *options.end_after) : std::nullopt;
  const auto obey = [&](const Drain::Orders& orders) {
    if (orders.stop_accepting) engine.stop_accepting();
    if (!orders.say.empty()) options.say(orders.say);
    if (orders.end_sessions) engine.end_sessions(orders.end_sessions->cause, orders.end_sessions->detail);
  };
  MonoTime second = clock.mono() + std::chrono::seconds{1};
  // True: all is over.
  const auto turn = [&] {
    signalfd_siginfo info{};
    while (::read(signals.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGHUP) {
        options.on_hangup();
        continue;
      }
      obey(drain.on_signal(clock.mono(), engine.live_sessions()));
    }
    const Engine::News news = engine.take_news();
    if (!news.deaf.empty()) obey(options.why_deaf ? drain.end(options.why_deaf()) : drain.on_output_closed());
    if (over && clock.mono() >= *over) {
      over.reset();
      obey(drain.end(fmt::format("its time of {} is over", format_duration(*options.end_after))));
    }
    if (options.tells_lag) {
      if (const auto said = lag.look(clock.mono(), engine.observer_lag())) options.say(*said);
    }
    if (options.each_second && clock.mono() >= second) {
      second = clock.mono() + std::chrono::seconds{1};
      options.each_second();
    }
    obey(drain.on_time(clock.mono()));
    const bool once_done = options.until_sessions_end && news.accept_limit_reached;
    return drain.is_over(news.all_sessions_ended) || (once_done && news.all_sessions_ended);
  };
  while (true) {
    auto end = drain.deadline();
    if (over && (!end || *over < *end)) end = over;
    if (options.tells_lag || options.each_second) {
      const MonoTime look_again = clock.mono() + std::chrono::seconds{1};
      end = end ? std::min(*end, look_again) : look_again;
    }
    const int wait = end ? poll_timeout(*end - clock.mono()) : -1;
    std::array<pollfd, 2> waiting{{{.fd = signals.get(), .events = POLLIN, .revents = 0},
                                   {.fd = engine.news_fd(), .events = POLLIN, .revents = 0}}};
    ::poll(waiting.data(), waiting.size(), wait);
    bool is_over = false;
    (void)contained([&] { is_over = turn(); });
    if (is_over) break;
  }
  engine.stop_accepting();
  Ending ending_report;
  ending_report.output_stuck = !engine.stop(std::chrono::milliseconds{2000});
  ending_report.totals = engine.totals();
  ending_report.dropped = engine.observer_lag().dropped;
  return ending_report;
}

auto summary(const Totals& totals, const event::EventRing::Dropped& dropped, std::optional<Direction> only)
    -> std::string {
  std::string text = fmt::format("{} (peak {})", counted(totals.sessions, "session"), totals.peak);
  for (const Direction each : {Direction::upstream, Direction::downstream}) {
    if (only.value_or(each) == each)
      text += fmt::format(", {} {}", format_size(totals.bytes[index(each)]), to_string(each));
  }
  if (totals.connect_times.count() > 0) {
    text += fmt::format(", connect p50 {} p99 {}", format_duration(totals.connect_times.percentile(0.5)),
                        format_duration(totals.connect_times.percentile(0.99)));
  }
  if (totals.connect_failures > 0) text += ", " + counted(totals.connect_failures, "upstream failure");
  if (totals.refused_accepts > 0) text += ", accepting paused " + counted(totals.refused_accepts, "time");
  if (totals.watchdog_trips > 0) text += ", watchdog tripped " + counted(totals.watchdog_trips, "time");
  if (dropped.chunks > 0) {
    text += fmt::format(", {} ({}) not shown as the view was too slow", counted(dropped.chunks, "chunk"),
                        format_size(dropped.bytes));
  }
  if (totals.held_up > 0) {
    text += fmt::format(", {} held up by the view (longest {})", counted(totals.held_up, "session"),
                        format_duration(totals.longest_held_up));
  }
  return text;
}

}  // namespace weir::engine
