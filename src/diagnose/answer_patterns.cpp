#include "diagnose/answer_patterns.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/duration.h"

namespace weir::diagnose {
namespace {

using std::chrono::milliseconds;

auto part(Nanos a, Nanos b) -> double { return static_cast<double>(a.count()) / static_cast<double>(b.count()); }

// ln(n over k): in how many ways k of n could have been left out.
auto log_choices(std::size_t n, std::size_t k) -> double {
  return std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(k) + 1) -
         std::lgamma(static_cast<double>(n - k) + 1);
}

auto median(std::vector<Nanos> values) -> Nanos {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

auto is_near(Nanos value, Nanos other, double tolerance) -> bool {
  return std::abs(part(value - other, other)) <= tolerance;
}

auto magnitude(Nanos value) -> Nanos { return value < Nanos{} ? -value : value; }

// What an answer usually takes, by session; of one that has few, what it takes in all.
class Usual {
 public:
  explicit Usual(std::span<const SlowAnswer> answers) {
    std::map<std::uint64_t, std::vector<Nanos>> lengths;
    for (const SlowAnswer& answer : answers) {
      lengths[static_cast<std::uint64_t>(answer.session.session)].push_back(answer.length());
      lengths[all].push_back(answer.length());
    }
    for (auto& [session, each] : lengths) {
      if (session == all || each.size() >= 3) usual_[session] = median(std::move(each));
    }
  }
  [[nodiscard]] auto of(const SlowAnswer& answer) const -> Nanos {
    const auto found = usual_.find(static_cast<std::uint64_t>(answer.session.session));
    return found != usual_.end() ? found->second : usual_.at(all);
  }

 private:
  static constexpr std::uint64_t all = 0;  // no session's number
  std::map<std::uint64_t, Nanos> usual_;
};

}  // namespace

auto find_patterns(std::span<const SlowAnswer> answers, std::span<const Silence> silences)
    -> std::vector<std::shared_ptr<const Pattern>> {
  std::vector<std::shared_ptr<const Pattern>> claims(answers.size());
  find_tick(answers, claims);
  find_queue(answers, claims);
  find_standstills(answers, silences, claims);
  return claims;
}

// --- standstill ---

namespace {

constexpr Nanos least_standstill = milliseconds{20};
constexpr Nanos least_stagger = milliseconds{3};

// How long those who waited may take to be answered.
auto burst_of(const Silence& silence) -> Nanos { return std::max<Nanos>(milliseconds{2}, silence.length() / 20); }

auto spread_of(std::span<const SlowAnswer> together) -> Nanos {
  return std::max<Nanos>(together.back().answered - together.front().answered, std::chrono::microseconds{300});
}

// The chance that independent waits, of these lengths, end within so short a time of each other: each but the first has
// a density of at most 2 / its length, each could have been the first, and there were many silences.
auto surprise_of(std::span<const SlowAnswer> together, std::size_t silences) -> double {
  const Nanos spread = spread_of(together);
  double surprise = -std::log(static_cast<double>(together.size() * silences));
  for (const SlowAnswer& answer : together.subspan(1)) {
    surprise += std::log(std::max(1.0, part(answer.length(), 2 * spread)));
  }
  return surprise;
}

// Before the silence the upstream answered for a while: a pool or a poller is silent between all of its bursts.
auto was_awake_before(std::span<const Silence> silences, std::size_t at) -> bool {
  for (std::size_t i = at; i-- > 0;) {
    if (5 * silences[i].length() < silences[at].length()) continue;
    return 2 * (silences[at].begin - silences[i].end) >= silences[at].length();
  }
  return true;
}

}  // namespace

void find_standstills(std::span<const SlowAnswer> answers, std::span<const Silence> silences, Claims claims) {
  for (std::size_t at = 0; at < silences.size(); ++at) {
    const Silence& silence = silences[at];
    if (silence.length() < least_standstill || !was_awake_before(silences, at)) continue;
    const auto first = std::ranges::lower_bound(answers, silence.end, {}, &SlowAnswer::answered);
    const auto last = std::ranges::upper_bound(answers, silence.end + burst_of(silence), {}, &SlowAnswer::answered);
    std::vector<SlowAnswer> together;
    std::set<std::uint64_t> sessions;
    for (const SlowAnswer& answer : std::span(first, last)) {
      if (answer.asked >= silence.end || answer.length() < least_silence) continue;
      if (sessions.insert(static_cast<std::uint64_t>(answer.session.session)).second) together.push_back(answer);
    }
    if (together.size() < 3) continue;
    // Requests that came together may have been worked on together; of a constant time, they are answered as far from
    // each other as they were asked.
    const auto [earliest, latest] = std::ranges::minmax(together, {}, &SlowAnswer::asked);
    if (latest.asked - earliest.asked < std::max(least_stagger, 5 * spread_of(together))) continue;
    if (surprise_of(together, silences.size()) < least_surprise) continue;
    const auto pattern = std::make_shared<const Pattern>(Pattern{
        &standstill_cause,
        {.side = Side::server,
         .certainty = Certainty::likely,
         .text = fmt::format("stood still: it answered nobody, then all {} that waited at once", together.size()),
         .fix = "find what stops the whole process: a collection of garbage, a blocked event loop, a paused machine",
         .evidence = {{"silence_ns", silence.length().count()},
                      {"sessions", static_cast<std::int64_t>(together.size())}}}});
    for (std::size_t i = static_cast<std::size_t>(first - answers.begin());
         i < static_cast<std::size_t>(last - answers.begin()); ++i) {
      if (!claims[i] && answers[i].asked < silence.end) claims[i] = pattern;
    }
  }
}

// --- polling ---

namespace {

constexpr std::array ticks{
    10,  15,  20,  25,  30,  40,  50,  60,  75,   80,   100,  120,  125,
    150, 200, 250, 300, 400, 500, 600, 750, 1000, 1500, 2000, 3000, 5000};  // milliseconds: what people write
constexpr Nanos one_instant = milliseconds{2};                              // answers at one tick
constexpr int most_ticks_between = 12;  // farther apart, the tick's own drift counts

// The answers that came at one tick, as one: they were not independent.
auto instants_of(std::span<const SlowAnswer> answers, Nanos tick) -> std::vector<MonoTime> {
  const Nanos together = std::max(one_instant, tick / 12);
  std::vector<MonoTime> instants;
  for (const SlowAnswer& answer : answers) {
    if (instants.empty() || answer.answered - instants.back() > together) instants.push_back(answer.answered);
  }
  return instants;
}

// How far a time is from the nearest multiple of the tick.
auto off_tick(Nanos time, Nanos tick) -> Nanos {
  const Nanos rest = time % tick;
  return std::min(rest, tick - rest);
}

struct Tick {
  Nanos length{};
  double surprise = 0;
  std::size_t seen = 0;
};

// Are the times between answers multiples of the tick, as far as `off` from it, of which some may be late?
auto fit(std::span<const MonoTime> instants, Nanos tick, Nanos off) -> Tick {
  std::size_t gaps = 0;
  std::size_t good = 0;
  for (std::size_t i = 1; i < instants.size(); ++i) {
    const Nanos gap = instants[i] - instants[i - 1];
    if (gap > tick * most_ticks_between) continue;
    ++gaps;
    if (gap > tick / 2 && off_tick(gap, tick) <= off) ++good;
  }
  if (gaps < 8 || 4 * good < 3 * gaps) return {};
  const double chance = part(2 * off, tick);
  const double surprise = static_cast<double>(good) * -std::log(chance) - log_choices(gaps, good) -
                          std::log(2 * static_cast<double>(ticks.size()));
  return {tick, surprise, instants.size()};
}

// A tick makes requests of each session wait for different times, of which none is longer than it. What takes the same
// time each time would come at a tick if it was asked at one.
auto waits_as_for_a_tick(std::span<const SlowAnswer> answers, const Usual& usual, Nanos tick) -> bool {
  std::size_t longer = 0;
  std::vector<Nanos> unusual;
  for (const SlowAnswer& answer : answers) {
    longer += answer.length() > tick + one_instant ? 1 : 0;
    unusual.push_back(magnitude(answer.length() - usual.of(answer)));
  }
  return 10 * longer <= answers.size() && 8 * median(unusual) >= tick;
}

}  // namespace

void find_tick(std::span<const SlowAnswer> answers, Claims claims) {
  if (answers.size() < 9) return;
  const Usual usual(answers);
  Tick best;
  for (const int length : ticks) {
    const Nanos tick = milliseconds{length};
    const std::vector<MonoTime> instants = instants_of(answers, tick);
    for (const Nanos off : {std::max<Nanos>(tick / 50, milliseconds{1}), std::max<Nanos>(tick / 20, milliseconds{1})}) {
      const Tick found = fit(instants, tick, off);
      if (found.surprise >= least_surprise && waits_as_for_a_tick(answers, usual, tick)) best = found;  // the longest
    }
  }
  if (best.length == Nanos{}) return;
  const auto pattern = std::make_shared<const Pattern>(
      Pattern{&polling_cause,
              {.side = Side::server,
               .certainty = Certainty::shown,
               .text = fmt::format("answers on a tick of {}: it looks for work then, and not when it comes",
                                   format_duration(best.length)),
               .fix = "wake on data (poll, a condition variable, a notification) instead of on a timer",
               .evidence = {{"tick_ns", best.length.count()}, {"ticks", static_cast<std::int64_t>(best.seen)}}}});
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!claims[i] && answers[i].length() <= best.length + one_instant) claims[i] = pattern;
  }
}

// --- one at a time, or so many ---

namespace {

constexpr std::array<std::size_t, 8> widths{1, 2, 3, 4, 5, 6, 7, 8};
constexpr std::array<double, 3> tolerances{0.06, 0.12, 0.2};  // of equal service times; a busy machine has wider ones

// One answer of a queue in front of `width` workers, if it is one: it was begun when the one `width` before it was
// done.
struct Served {
  Nanos time{};                 // from there
  bool has_waited = false;      // it was asked before
  Nanos unusual{};              // how far its length is from what is usual in its session
  bool is_closed_loop = false;  // it was asked when the session had its answer before
};

auto served_by(std::span<const SlowAnswer> answers, const Usual& usual, std::size_t width) -> std::vector<Served> {
  std::vector<Served> served(answers.size());
  std::map<std::uint64_t, MonoTime> last;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const SlowAnswer& answer = answers[i];
    MonoTime& before = last[static_cast<std::uint64_t>(answer.session.session)];
    if (i >= width) {
      const MonoTime free = answers[i - width].answered;
      served[i] = {.time = answer.answered - std::max(answer.asked, free),
                   .has_waited = answer.asked < free,
                   .unusual = magnitude(answer.length() - usual.of(answer)),
                   .is_closed_loop = before != MonoTime{} && answer.asked - before < milliseconds{1}};
    }
    before = answer.answered;
  }
  return served;
}

struct Queue {
  std::size_t width = 0;
  double tolerance = 0;
  Nanos each{};
  std::size_t waited = 0;
};

// What speaks for a queue, of the answers that have waited in it.
struct Signs {
  std::size_t waited = 0;
  std::size_t good = 0;     // of these, of equal service time
  std::size_t telling = 0;  // of those, of another length than usual: a service of constant time would not have it
  std::size_t closed = 0;   // the others, if they were asked when the session had its answer before
  std::size_t sessions = 0;
  bool all_tell = false;  // what differs in the answers' lengths, the queue explains
};

auto signs_of(std::span<const SlowAnswer> answers, std::span<const Served> served, Nanos each, double tolerance)
    -> Signs {
  std::vector<Nanos> off;      // from a constant service time behind a queue
  std::vector<Nanos> unusual;  // from a constant length
  std::set<std::uint64_t> sessions;
  Signs signs;
  for (std::size_t i = 0; i < served.size(); ++i) {
    if (!served[i].has_waited) continue;
    off.push_back(magnitude(served[i].time - each));
    unusual.push_back(served[i].unusual);
    if (!is_near(served[i].time, each, tolerance)) continue;
    ++signs.good;
    const bool is_telling = part(served[i].unusual, answers[i].length()) > 0.15;
    signs.telling += is_telling ? 1 : 0;
    signs.closed += !is_telling && served[i].is_closed_loop ? 1 : 0;
    sessions.insert(static_cast<std::uint64_t>(answers[i].session.session));
  }
  signs.waited = off.size();
  signs.sessions = sessions.size();
  signs.all_tell = median(unusual) >= 4 * median(off);
  return signs;
}

// Answers that take the same time each time, and are asked in turn, come at equal distances too. But their lengths are
// all the same, unless the queue explains them; in a closed loop, the sessions' phases alone are free.
auto surprise_of(const Signs& signs, std::size_t width, double tolerance) -> double {
  const std::size_t phases = signs.sessions > width ? signs.sessions - width : 0;
  const std::size_t free = signs.all_tell ? signs.good : signs.telling + std::min(signs.closed, phases);
  // The times between independent answers are exponential, and those of `width` of them a sum of as many, which
  // overlap: so many of them say as much as one.
  const double chance = width == 1 ? 0.7 * tolerance : 0.8 * tolerance * std::sqrt(static_cast<double>(width));
  const double share = std::min(static_cast<double>(signs.good) / static_cast<double>(signs.waited), 1 - 1e-9);
  // By how much more that share is than chance (Chernoff's bound), of each.
  const double each = share * std::log(share / chance) + (1 - share) * std::log((1 - share) / (1 - chance));
  return (static_cast<double>(free) / static_cast<double>(width) - 1) * each -
         std::log(static_cast<double>(widths.size() * tolerances.size()));
}

auto fit(std::span<const SlowAnswer> answers, std::span<const Served> served, std::size_t width)
    -> std::optional<Queue> {
  std::vector<Nanos> times;
  for (const Served& each : served) {
    if (each.has_waited) times.push_back(each.time);
  }
  if (times.size() < 6) return std::nullopt;
  const Nanos each = median(times);
  if (each < least_pause) return std::nullopt;
  for (const double tolerance : tolerances) {
    const Signs signs = signs_of(answers, served, each, tolerance);
    if (4 * signs.good < 3 * signs.waited || signs.sessions < 3) continue;
    if (surprise_of(signs, width, tolerance) >= least_surprise) return Queue{width, tolerance, each, signs.waited};
  }
  return std::nullopt;
}

auto pattern_of(const Queue& queue, std::size_t sessions) -> std::shared_ptr<const Pattern> {
  const bool is_lock = queue.width == 1;
  const std::string each = format_duration(queue.each);
  return std::make_shared<const Pattern>(Pattern{
      is_lock ? &lock_convoy_cause : &pool_exhausted_cause,
      {.side = Side::server,
       .certainty = queue.tolerance == tolerances.front() ? Certainty::shown : Certainty::likely,
       .text = is_lock ? fmt::format("serves one request at a time, {} each; the others wait", each)
                       : fmt::format("has {} workers, {} a request; the others wait for one", queue.width, each),
       .fix = is_lock ? "let requests run side by side: find the lock, or the one thread, that all of them need"
                      : "more workers (or connections of its own pool), or shorter requests",
       .evidence = {{"each_ns", queue.each.count()},
                    {"width", static_cast<std::int64_t>(queue.width)},
                    {"sessions", static_cast<std::int64_t>(sessions)},
                    {"waited", static_cast<std::int64_t>(queue.waited)}}}});
}

}  // namespace

// The narrowest first: what one worker serves at equal times, every second of its answers has twice that between them.
void find_queue(std::span<const SlowAnswer> answers, Claims claims) {
  if (answers.size() < 7) return;
  const Usual usual(answers);
  for (const std::size_t width : widths) {
    if (answers.size() < 7 * width) return;
    const std::vector<Served> served = served_by(answers, usual, width);
    const auto queue = fit(answers, served, width);
    if (!queue) continue;
    std::set<std::uint64_t> sessions;
    for (const SlowAnswer& answer : answers) sessions.insert(static_cast<std::uint64_t>(answer.session.session));
    const auto pattern = pattern_of(*queue, sessions.size());
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const bool fits = served[i].has_waited && is_near(served[i].time, queue->each, 2 * queue->tolerance);
      if (fits && !claims[i] && 2 * answers[i].length() >= 3 * queue->each) claims[i] = pattern;
    }
    return;
  }
}

}  // namespace weir::diagnose
