#include "diagnose/attribution.h"

#include <algorithm>
#include <utility>

namespace weir::diagnose {
namespace {

constexpr auto at(Segment segment) -> std::size_t { return static_cast<std::size_t>(segment); }
constexpr auto at(Stretch stretch) -> std::size_t { return static_cast<std::size_t>(stretch); }

// A session is long, and its first moments are not worth a word, once its requests took so many times as long.
constexpr int long_session = 20;
// Requests alike are a run from here on (facts measured: a page of queries has tens to thousands).
constexpr std::uint64_t least_run = 20;
// Below, a round trip is a scheduler's matter, and a batch would save nothing.
constexpr Nanos least_round_trip = std::chrono::microseconds{500};
// A hiccup of a peer that was kept from running: no longer than this, and no more than one beside so many.
constexpr Nanos longest_hiccup = std::chrono::milliseconds{100};
constexpr std::uint64_t one_hiccup_beside = 4;

}  // namespace

void Attribution::on_pause(const Pause& pause, const ToldVerdict& told) {
  const bool is_soft = says_only_who(*told.cause);
  if (pause.segment == Segment::connecting) {
    if (is_soft && !is_settled_) {
      opening_.connecting.push_back({told, pause.segment});
    } else {
      session_view_.free.at(at(Stretch::connecting)) = Nanos{};
      owner_.tell(told);
    }
    return;
  }
  // What no rule of an exchange claims is told at once, but where the opening's rules may know more; of what stands
  // before an answer only a part may be claimed, and it stays true that the server took the time.
  const bool is_opening = pause.purpose != Purpose::request || (pause.tls.is_tls && !pause.tls.client_data);
  const bool waits = is_opening || pause.segment == Segment::server_sends || pause.segment == Segment::client_waits;
  const bool has_room = held_.size() + opening_.size() < most_held;
  if (is_soft && waits && pause.exchange != 0 && has_room) {
    held_.push_back({told, pause.segment});
    return;
  }
  if (is_soft && pause.segment == Segment::server_sends && !held_.empty() && held_.back().segment == pause.segment) {
    held_.back().told.length += pause.length;  // there may be thousands, of one answer
    return;
  }
  if (pause.exchange != 0 && told.cause != &think_cause) owned_.at(at(pause.segment)) += pause.length;
  owner_.tell(told);
  owner_.ledger.retell(told, told.earlier, owner_.who(Side::server));
  if (!is_soft && pause.segment == Segment::client_waits) owner_.ledger.add_waiting(pause.length);
}

auto Attribution::free_of(const Exchange& exchange) const -> std::array<Nanos, segment_count> {
  std::array<Nanos, segment_count> free = exchange.time;
  free.at(at(Segment::client_waits)) = exchange.gap;
  for (std::size_t i = 0; i < segment_count; ++i) free.at(i) = std::max(free.at(i) - owned_.at(i), Nanos{});
  return free;
}

void Attribution::on_exchange(const Exchange& exchange) {
  if (!exchange.answered) {
    tell_held();
    owned_ = {};
    return;
  }
  if (exchange.purpose != Purpose::request && !is_settled_) {
    hold_opening(exchange);
  } else {
    judge_exchange(exchange);
    ++session_view_.requests;
    session_view_.request_time += exchange.end - exchange.begin;
    session_view_.round_trip = exchange.round_trip;
    const Nanos before = session_view_.whole() - session_view_.request_time;
    if (session_view_.requests > 1 && session_view_.request_time > long_session * before) settle();
  }
  owned_ = {};
}

// --- the rules of an exchange ---

void Attribution::judge_exchange(const Exchange& exchange) {
  const bool is_of_run = count_run(exchange);
  ExchangeView view{.exchange = exchange,
                    .free = free_of(exchange),
                    .alike = is_of_run ? run_.count : 0,
                    .earlier = run_.earlier,
                    .same_answers = count_same(exchange)};
  for (const CauseInfo* cause : causes()) {
    if (cause->judge_exchange == nullptr) continue;
    const auto claimed = cause->judge_exchange(view);
    if (!claimed) continue;
    ToldVerdict told = told_of(*cause, claimed->finding);
    told.exchange = exchange.number;
    told.begin = exchange.begin;
    for (std::size_t i = 0; i < segment_count; ++i) {
      const Nanos taken = std::min(claimed->most.at(i), view.free.at(i));
      if (taken <= Nanos{}) continue;
      told.length += taken;
      view.free.at(i) -= taken;  // mutant: stretch-claimed-twice
      if (i == at(Segment::client_waits)) owner_.ledger.add_waiting(taken);
      const bool all = view.free.at(i) == Nanos{};
      std::erase_if(held_, [&](const Held& held) { return all && at(held.segment) == i; });
      for (Held& held : held_) {
        if (at(held.segment) == i) held.told.length -= std::min(held.told.length, taken);
      }
    }
    if (told.length == Nanos{}) continue;
    owner_.tell(told);
    owner_.ledger.retell(told, told.earlier, owner_.who(Side::server));
  }
  tell_held();
  owner_.ledger.add_think(owner_.who(Side::server), view.free_in(Segment::server_answers));
}

void Attribution::tell_held() {
  for (const Held& held : held_) owner_.tell(held.told);
  held_.clear();
}

auto Attribution::count_same(const Exchange& exchange) -> std::uint64_t {
  constexpr std::uint64_t large = 65'536;
  const std::uint64_t bytes = exchange.bytes.at(index(Direction::downstream));
  if (bytes < large) return 1;
  if (!answers_) answers_ = std::make_unique<std::array<Answer, 8>>();
  for (Answer& each : *answers_) {
    if (each.hash == exchange.answer && each.bytes == bytes) return ++each.times;
  }
  answers_->at(next_answer_++ % answers_->size()) = {.hash = exchange.answer, .bytes = bytes, .times = 1};
  return 1;
}

// False: it is of no run, or one of the few in it that took longer than a round trip accounts for. The processor of a
// client or a server is another's now and then, and the questions are the same all the same.
auto Attribution::count_run(const Exchange& exchange) -> bool {
  const Nanos client = exchange.round_trip.at(index(LegName::client));
  const Nanos server = exchange.round_trip.at(index(LegName::server));
  const Nanos both = client + server;
  const Nanos length = exchange.gap + (exchange.end - exchange.begin);
  const bool is_round_trip = both >= least_round_trip && exchange.gap < both && 2 * both >= length;
  if (exchange.shape != run_.shape || run_.count == 0) run_ = {.shape = exchange.shape, .earlier = {}};
  if (!is_round_trip) {
    ++run_.others;
    // mutant: any-exchange-is-of-a-run
    if (length > both + longest_hiccup || one_hiccup_beside * run_.others > run_.count) run_ = {};
    return false;
  }
  ++run_.count;
  if (run_.count >= least_run) {
    if (run_.count > least_run) run_.earlier = {};
    return true;
  }
  const std::array<Nanos, segment_count> free = free_of(exchange);
  const Nanos answers = std::min(free.at(at(Segment::server_answers)), server);
  const Nanos waits = std::min(free.at(at(Segment::client_waits)), client);
  run_.earlier.answers += answers;
  run_.earlier.waits += waits;
  if (answers + waits > Nanos{}) ++run_.earlier.times;
  return true;
}

// --- before the first request ---

auto Attribution::held_in(Stretch stretch) -> std::vector<Held>& {
  switch (stretch) {
    case Stretch::connecting: return opening_.connecting;
    case Stretch::tls_handshake: return opening_.tls;
    case Stretch::setup: break;
  }
  return opening_.setup;
}

void Attribution::on_connected(Nanos connecting) { session_view_.free.at(at(Stretch::connecting)) = connecting; }

void Attribution::hold_opening(const Exchange& exchange) {
  const bool is_tls = exchange.purpose == Purpose::tls_handshake;
  const Stretch stretch = is_tls ? Stretch::tls_handshake : Stretch::setup;
  const auto free = free_of(exchange);
  for (const Segment segment : {Segment::client_sends, Segment::server_answers, Segment::server_sends}) {
    session_view_.free.at(at(stretch)) += free.at(at(segment));
  }
  ++session_view_.exchanges.at(at(stretch));
  session_view_.round_trip = exchange.round_trip;
  for (Held& held : std::exchange(held_, {})) {
    if (held.segment == Segment::client_waits) {
      owner_.tell(held.told);
    } else {
      held_in(stretch).push_back(std::move(held));
    }
  }
}

void Attribution::settle() {
  if (std::exchange(is_settled_, true)) return;
  std::array<bool, stretch_count> is_owned{};
  for (const CauseInfo* cause : causes()) {
    if (cause->judge_session == nullptr) continue;
    const auto claimed = cause->judge_session(session_view_);
    if (!claimed || session_view_.free_in(claimed->stretch) <= Nanos{}) continue;
    if (std::exchange(is_owned.at(at(claimed->stretch)), true)) continue;
    settle(claimed->stretch, cause, claimed->finding);
  }
  for (const Stretch stretch : {Stretch::connecting, Stretch::tls_handshake, Stretch::setup}) {
    if (!is_owned.at(at(stretch))) settle(stretch, nullptr, {});
  }
}

// cause: null if no rule claimed it.
void Attribution::settle(Stretch stretch, const CauseInfo* cause, const Finding& finding) {
  const std::vector<Held> held = std::exchange(held_in(stretch), {});
  const Nanos length = session_view_.free_in(stretch);
  if (cause != nullptr) {
    if (stretch == Stretch::connecting && held.empty()) owner_.ledger.add_waiting(length);
    ToldVerdict told = told_of(*cause, finding);
    told.length = length;
    if (!held.empty()) told.begin = held.front().told.begin;
    owner_.tell(told);
    return;
  }
  for (const Held& each : held) owner_.tell(each.told);
  if (stretch == Stretch::connecting) return;
  const unsigned times = session_view_.exchanges_in(stretch);
  for (unsigned i = 0; i < times; ++i) owner_.ledger.add_think(owner_.who(Side::server), length / times);
}

void Attribution::on_unanswered(const Pause& pause, const ToldVerdict& told) {
  if (pause.segment != Segment::passes) ++session_view_.requests;
  owner_.tell(told);
}

void Attribution::forget() {
  held_.clear();
  owned_ = {};
  run_ = {};
  opening_ = {};
  session_view_ = {};
  is_settled_ = true;
}

void Attribution::end() {
  tell_held();
  session_view_.has_ended = true;
  session_view_.alike = owner_.on_end(session_view_.requests == 1);
  settle();
}

auto Attribution::told_of(const CauseInfo& cause, const Finding& finding) const -> ToldVerdict {
  ToldVerdict told;
  told.session = session_;
  told.cause = &cause;
  told.side = finding.side;
  told.who = owner_.who(finding.side);
  told.towards = owner_.towards(finding.side);
  told.certainty = finding.certainty;
  told.text = finding.text;
  told.fix = finding.fix;
  told.evidence = finding.evidence;
  told.earlier = finding.earlier;
  return told;
}

}  // namespace weir::diagnose
