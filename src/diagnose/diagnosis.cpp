#include "diagnose/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/duration.h"
#include "diagnose/ack_proof.h"
#include "diagnose/attribution.h"

namespace weir::diagnose {

auto required_events() -> event::EventMask {
  using event::EventKind;
  return EventKind::session_accepted | EventKind::upstream_resolved | EventKind::connect_tried |
         EventKind::session_opened | EventKind::chunk_read | EventKind::chunk_written | EventKind::session_closed |
         EventKind::half_closed | EventKind::legs_connected | EventKind::fault_began | EventKind::leg_counters |
         EventKind::receive_times;
}

// One session that lives: its pauses are judged and told.
class Diagnosis::Session final : public TimelineReader {
 public:
  explicit Session(Diagnosis& owner) : owner_(owner), server_(owner.options_.server) {}

  void on_event(const event::Event& event) {
    is_doubtful_ = false;
    if (!timeline_) {
      proxy_ = event.proxy;
      timeline_.emplace(event.proxy, event.session, event.time, *this);
      begin_attribution(event.session);
    }
    const bool is_of_bytes =
        std::holds_alternative<event::ChunkRead>(event.what) || std::holds_alternative<event::ChunkWritten>(event.what);
    if (!is_of_bytes) names_ = {};  // it may say who the ends are
    if (owner_.options_.eyes) prepare_looks(event);
    timeline_->on_event(event);
    if (const auto* chunk = std::get_if<event::ChunkRead>(&event.what)) note_answer(event, *chunk);
    if (std::holds_alternative<std::shared_ptr<const event::SessionOpened>>(event.what)) {
      attribution_->on_connected(timeline_->connecting());
    } else if (std::holds_alternative<std::shared_ptr<const event::SessionClosed>>(event.what)) {
      attribution_->end();
    }
    if (owner_.options_.eyes && !looks_.is_waiting) wait_for_look({event.proxy, event.session});
  }
  // Of its upstream; null: no byte came yet, or there are too many of them.
  [[nodiscard]] auto window() const -> UpstreamWindow* { return window_; }
  // A pattern claims so much of an exchange's answer. False: that exchange has ended.
  auto claim_answer(std::uint64_t exchange, Nanos length) -> bool {
    if (exchange <= ended_) return false;
    attribution_->own(Segment::server_answers, length);
    return true;
  }
  // The time for which it waited has come.
  void look(const Key& key, MonoTime now) {
    looks_.is_waiting = false;
    if (!timeline_) return;
    const auto due = looks_.due(*timeline_);
    if (due && *due <= now) looks_.look(*timeline_, now, owner_.options_.eyes, owner_.look_budget_);
    wait_for_look(key);
  }
  // Events were missed: what follows is measured anew.
  void forget() {
    if (timeline_) timeline_->forget();
    if (attribution_) attribution_->forget();
    stalled_ = {};
    longest_.reset();
  }
  [[nodiscard]] auto open_time() const -> std::optional<Nanos> {
    return timeline_ ? timeline_->open_time() : std::nullopt;
  }
  // Its end may have been missed: true if nothing has come since it was asked this before.
  auto doubt() -> bool { return std::exchange(is_doubtful_, true); }
  [[nodiscard]] auto open(MonoTime now) const -> std::optional<HeldExchange> {
    const auto open = timeline_ ? timeline_->open(now) : std::nullopt;
    if (!open) return std::nullopt;
    const Pause& lasting = open->lasting;
    auto verdict = judge_lasting(lasting);
    const bool is_sinks = lasting.segment == Segment::passes || lasting.segment == Segment::connecting;
    Side side = side_of(is_sinks ? lasting.sink_leg() : lasting.source_leg());
    if (verdict) side = verdict->side;
    if (longest_ && (!verdict || longest_->length > verdict->length)) verdict = *longest_;
    return HeldExchange{.proxy = lasting.proxy,
                        .session = lasting.session,
                        .exchange = open->exchange.number,
                        .client = timeline_->client(),
                        .upstream = timeline_->upstream(),
                        .begin = open->exchange.begin,
                        .bytes = open->exchange.bytes,
                        .segment = lasting.segment,
                        .side = side,
                        .who = name_of(side),
                        .held = lasting.length,
                        .verdict = std::move(verdict)};
  }

  void on_pause(const Pause& pause) override {
    Verdict verdict = judge(pause);
    if (pause.segment == Segment::connecting) owner_.ledger_.add_connecting(pause.length);
    if (verdict.cause == &split_write_cause) stalled_.at(index(pause.source_leg())) = true;
    ToldVerdict told = this->told(pause, std::move(verdict));
    attribution_->on_pause(pause, told);
    if (told.cause == &client_think_cause) return;
    if (!longest_ || told.length > longest_->length) longest_ = std::make_unique<const ToldVerdict>(std::move(told));
  }
  [[nodiscard]] auto others_heard(MonoTime begin, MonoTime end) const -> bool override {
    const auto found = owner_.windows_.find({proxy_, name_of(Side::server)});
    return found != owner_.windows_.end() && found->second->has_heard(begin, end);
  }
  void on_unanswered(const Pause& pause) override {
    auto verdict = judge_unanswered(pause);
    if (!verdict) return;
    owner_.ledger_.add_waiting(pause.length);
    attribution_->on_unanswered(pause, told(pause, *std::move(verdict)));
  }
  void on_exchange(const Exchange& exchange) override {
    owner_.ledger_.add_exchange(exchange);
    if (owner_.options_.on_exchange) owner_.options_.on_exchange(exchange);
    attribution_->on_protocol(timeline_->setup().protocol());
    attribution_->on_exchange(exchange);
    ended_ = exchange.number;
    if (exchange.answered) {
      for (const LegName leg : {LegName::client, LegName::server}) prove(leg, exchange.end - exchange.begin);
    }
    stalled_ = {};
    longest_.reset();
  }

 private:
  void begin_attribution(SessionNumber session) {
    attribution_.emplace(
        Attribution::Owner{.ledger = owner_.ledger_,
                           .who = [this](Side side) -> const std::string& { return who(side); },
                           .towards = [this](Side side) { return side == Side::client ? towards() : std::string(); },
                           .tell = [this](const ToldVerdict& told) { tell(told); },
                           .on_end = [this](bool single) { return count_single(single); }},
        session);
  }
  // It says what the server did with one request, and not why: a pattern of many may.
  static auto may_have_a_pattern(const ToldVerdict& told) -> bool {
    return told.exchange != 0 &&
           (told.cause == &think_cause || told.cause == &not_read_cause || told.cause == &not_accepted_cause);
  }
  void tell(const ToldVerdict& told) {
    if (window_ != nullptr && may_have_a_pattern(told)) {
      window_->hold({{proxy_, told.session}, told.begin, told.begin + told.length}, told);
      return;
    }
    owner_.tell(told);
  }
  void note_answer(const event::Event& event, const event::ChunkRead& chunk) {
    if (window_ == nullptr && owner_.options_.patterns) window_ = owner_.window_of(event.proxy, who(Side::server));
    const bool is_answer = window_ != nullptr && chunk.direction == Direction::downstream;
    if (is_answer) window_->on_bytes(chunk.kernel_time.value_or(event.time));
  }
  // Another session of this client has ended: how many before it, in a row, had a single request?
  [[nodiscard]] auto count_single(bool single) -> unsigned {
    constexpr std::size_t most_clients = 1024;
    auto& singles = owner_.singles_;
    if (singles.size() >= most_clients) singles.clear();
    unsigned& count = singles[who(Side::client)];
    return single ? count++ : std::exchange(count, 0U);
  }
  void prepare_looks(const event::Event& event) {
    if (const auto* legs = std::get_if<std::shared_ptr<const event::LegsConnected>>(&event.what)) {
      looks_.on_legs(**legs);
      owner_.upstreams_[event.proxy] = (*legs)->legs.at(index(LegName::server)).peer;
    } else if (std::holds_alternative<std::shared_ptr<const event::SessionAccepted>>(event.what)) {
      const auto known = owner_.upstreams_.find(event.proxy);
      if (known != owner_.upstreams_.end()) looks_.on_upstream(known->second);
    } else if (std::holds_alternative<event::ChunkRead>(event.what) && owner_.options_.eyes.process) {
      const auto pid = timeline_->seen_process();
      const auto process = pid ? owner_.options_.eyes.process(*pid) : std::nullopt;
      if (process) timeline_->set_process(*process);
    }
  }
  void wait_for_look(const Key& key) {
    const auto due = looks_.due(*timeline_);
    if (!due) return;
    looks_.is_waiting = true;
    owner_.watch_.add(key, *due);
  }
  [[nodiscard]] auto judge_lasting(const Pause& lasting) const -> std::optional<ToldVerdict> {
    if (lasting.length < least_pause) return std::nullopt;
    ToldVerdict verdict = told(lasting, judge(lasting));
    // Whether Weir is late, or who takes the bytes is, the kernel tells behind the pause.
    const bool is_late = lasting.segment == Segment::passes && lasting.faults.empty() && verdict.side == Side::weir;
    if (is_late) return std::nullopt;
    verdict.certainty = Certainty::likely;
    return verdict;
  }
  [[nodiscard]] auto told(const Pause& pause, Verdict verdict) const -> ToldVerdict {
    return {.session = pause.session,
            .exchange = pause.exchange,
            .begin = pause.begin,
            .length = pause.length,
            .cause = verdict.cause,
            .side = verdict.finding.side,
            .who = name_of(verdict.finding.side),
            .towards = verdict.finding.side == Side::client ? towards() : "",
            .certainty = verdict.finding.certainty,
            .text = std::move(verdict.finding.text),
            .fix = std::move(verdict.finding.fix),
            .evidence = std::move(verdict.finding.evidence),
            .proof = std::move(verdict.finding.proof),
            .earlier = verdict.finding.earlier,
            .text_before = pause.before > 0 ? pause.text_before : "",
            .text_behind = pause.before > 0 ? pause.text_behind : ""};
  }
  void prove(LegName leg, Nanos length) {
    const auto& ask = owner_.options_.acknowledge_at_once;
    if (!ask || !timeline_->handle()) return;
    AckProof& proof = proofs_.at(index(leg));
    switch (proof.on_exchange(stalled_.at(index(leg)), length)) {
      case AckProof::Step::nothing: return;
      case AckProof::Step::take_delay_away: return ask(*timeline_->handle(), leg, AckProof::reads_asked);
      case AckProof::Step::put_it_back: break;
    }
    ask(*timeline_->handle(), leg, 0);
    if (!proof.proven()) return;
    owner_.ledger_.prove(split_write_cause, side_of(leg), who(side_of(leg)),
                         fmt::format("with the delay of the ACK off, for {} exchanges, the same exchange takes {}",
                                     AckProof::exchanges_tried, format_duration(*proof.proven())));
  }
  // Which server a client's time was spent on, where the user has not named the only one.
  [[nodiscard]] auto towards() const -> std::string {
    return owner_.options_.server.empty() && timeline_->upstream() ? timeline_->upstream()->to_string() : "";
  }
  // Each is written once: a verdict a millisecond asks for it.
  [[nodiscard]] auto who(Side side) -> const std::string& {
    std::string& name = names_.at(static_cast<std::size_t>(side));
    if (name.empty()) name = name_of(side);
    return name;
  }
  [[nodiscard]] auto name_of(Side side) const -> std::string {
    const std::string client = timeline_->client() ? timeline_->client()->host_string() : "?";
    const std::string server = !server_.empty()        ? server_
                               : timeline_->upstream() ? timeline_->upstream()->to_string()
                                                       : "?";
    switch (side) {
      case Side::client: return "client " + client;
      case Side::server: return "server " + server;
      case Side::client_path: return "path to client " + client;
      case Side::server_path: return "path to server " + server;
      case Side::weir: break;
    }
    return "weir";
  }

  Diagnosis& owner_;
  std::string server_;
  std::optional<SessionTimeline> timeline_;
  std::optional<Attribution> attribution_;
  SessionLooks looks_;
  std::unique_ptr<const ToldVerdict> longest_;  // of the open exchange; or null
  bool is_doubtful_ = false;
  ProxyId proxy_{};
  UpstreamWindow* window_ = nullptr;
  std::uint64_t ended_ = 0;         // the number of the last exchange that has
  std::array<AckProof, 2> proofs_;  // by LegName
  std::array<bool, 2> stalled_{};   // the open exchange, on this leg
  std::array<std::string, side_count> names_{};
};

Diagnosis::Diagnosis(DiagnosisOptions options) : options_(std::move(options)) {}
Diagnosis::~Diagnosis() = default;

void Diagnosis::on_event(const event::Event& event, Nanos /*wall_offset*/) {
  const std::lock_guard lock(mutex_);
  if (const auto* gap = std::get_if<event::Gap>(&event.what)) {
    ledger_.count_missed(gap->chunks + gap->events);
    if (gap->events > 0) std::erase_if(sessions_, [](const auto& each) { return each.second->doubt(); });
    for (const auto& [key, session] : sessions_) session->forget();
    return;
  }
  ledger_.see(event.time);
  auto& session = sessions_[{event.proxy, event.session}];
  if (session == nullptr) {
    session = std::make_unique<Session>(*this);
    ledger_.count_session();
  }
  session->on_event(event);
  if (session->window() != nullptr) settle(*session->window(), event.time);
  if (std::holds_alternative<std::shared_ptr<const event::SessionClosed>>(event.what)) {
    sessions_.erase({event.proxy, event.session});
  }
}

void Diagnosis::tell(const ToldVerdict& told) {
  ledger_.add(told);
  if (options_.on_verdict && told.cause != &client_think_cause) options_.on_verdict(told);
}

auto Diagnosis::window_of(ProxyId proxy, const std::string& upstream) -> UpstreamWindow* {
  constexpr std::size_t most_upstreams = 1024;
  const std::pair key{proxy, upstream};
  if (windows_.size() >= most_upstreams && !windows_.contains(key)) return nullptr;
  auto& window = windows_[key];
  if (!window) window = std::make_unique<UpstreamWindow>();
  return window.get();
}

void Diagnosis::settle(UpstreamWindow& window, MonoTime now) {
  window.settle(now, [this](const HeldVerdict& held, const Pattern* pattern) {
    const ToldVerdict told = as_pattern(held.verdict, pattern);
    if (pattern != nullptr && held.verdict.cause == &think_cause) {
      const auto session = sessions_.find(held.answer.session);
      const bool is_open = session != sessions_.end() && session->second->claim_answer(told.exchange, told.length);
      if (!is_open) ledger_.take_think_back(told.who, told.length);
    }
    tell(told);
  });
}

void Diagnosis::look_at_slow(MonoTime now) {
  while (const auto due = watch_.take_due(now)) {
    const auto session = sessions_.find(*due);
    if (session != sessions_.end()) session->second->look(*due, now);
  }
  ledger_.set_looks(look_budget_.made(), look_budget_.skipped());
}

auto Diagnosis::flush_due() const -> std::optional<Nanos> {
  if (!options_.eyes.now) return std::nullopt;
  std::optional<MonoTime> next = watch_.next();
  for (const auto& [key, window] : windows_) {
    const auto due = window->due();
    if (due && (!next || *due < *next)) next = due;
  }
  return next ? std::optional(*next - options_.eyes.now()) : std::nullopt;
}

void Diagnosis::on_end() {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, window] : windows_) settle(*window, MonoTime::max());
}

auto Diagnosis::flush() -> bool {
  const std::lock_guard lock(mutex_);
  if (options_.eyes.now) {
    const MonoTime now = options_.eyes.now();
    look_at_slow(now);
    for (const auto& [key, window] : windows_) settle(*window, now);
  }
  if (options_.flush && !options_.flush()) return false;
  return !options_.exchanges || ledger_.exchanges() < *options_.exchanges;
}

auto Diagnosis::report() const -> Report {
  const std::lock_guard lock(mutex_);
  Report report = report_of_ended();
  // An answer has ended when the next request comes, or the session's end: it is counted then. But what was told of it
  // is a share of time that has been.
  for (const auto& [key, session] : sessions_) report.exchange_time += session->open_time().value_or(Nanos{});
  return report;
}

auto Diagnosis::report_of_ended() const -> Report {
  if (std::ranges::none_of(windows_, [](const auto& each) { return each.second->due().has_value(); })) {
    return ledger_.report();
  }
  Ledger ledger = ledger_;
  for (const auto& [key, window] : windows_) {
    window->show([&ledger](const HeldVerdict& held, const Pattern* pattern) {
      const ToldVerdict told = as_pattern(held.verdict, pattern);
      if (pattern != nullptr && held.verdict.cause == &think_cause) ledger.take_think_back(told.who, told.length);
      ledger.add(told);
    });
  }
  return ledger.report();
}

auto Diagnosis::open_exchanges(MonoTime now) const -> std::vector<HeldExchange> {
  const std::lock_guard lock(mutex_);
  std::vector<HeldExchange> all;
  for (const auto& [key, session] : sessions_) {
    if (auto open = session->open(now)) all.push_back(*std::move(open));
  }
  return all;
}

auto Diagnosis::losses() const -> std::vector<Loss> {
  const std::lock_guard lock(mutex_);
  return ledger_.losses();
}

auto Diagnosis::exchange_times() const -> ExchangeTimes {
  const std::lock_guard lock(mutex_);
  return ledger_.exchange_times();
}

void Diagnosis::set_server(std::string server) {
  const std::lock_guard lock(mutex_);
  options_.server = std::move(server);
}

}  // namespace weir::diagnose
