#include "diagnose/diagnosis.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/duration.h"
#include "diagnose/ack_proof.h"

namespace weir::diagnose {

auto required_events() -> event::EventMask {
  using event::EventKind;
  return EventKind::session_accepted | EventKind::upstream_resolved | EventKind::connect_tried |
         EventKind::session_opened | EventKind::chunk_read | EventKind::chunk_written | EventKind::session_closed |
         EventKind::fault_began | EventKind::leg_counters | EventKind::receive_times | EventKind::bulk_counts;
}

// One session that lives: its pauses are judged and told.
class Diagnosis::Session final : public TimelineReader {
 public:
  explicit Session(Diagnosis& owner) : owner_(owner) {}

  void on_event(const event::Event& event) {
    if (!timeline_) timeline_.emplace(event.proxy, event.session, event.time, *this);
    const bool is_of_bytes =
        std::holds_alternative<event::ChunkRead>(event.what) || std::holds_alternative<event::ChunkWritten>(event.what);
    if (!is_of_bytes) names_ = {};  // it may say who the ends are
    timeline_->on_event(event);
  }
  // Events were missed: what follows is measured anew.
  void forget() {
    timeline_.reset();
    claimed_ = {};
    stalled_ = {};
  }

  void on_pause(const Pause& pause) override {
    Verdict verdict = judge(pause);
    if (pause.segment == Segment::connecting) owner_.ledger_.add_connecting(pause.length);
    if (pause.segment == Segment::server_answers && verdict.cause != &think_cause) claimed_ += pause.length;
    if (verdict.cause == &split_write_cause) stalled_.at(index(pause.source_leg())) = true;
    const ToldVerdict told{.session = pause.session,
                           .exchange = pause.exchange,
                           .begin = pause.begin,
                           .length = pause.length,
                           .cause = verdict.cause,
                           .side = verdict.finding.side,
                           .who = who(verdict.finding.side),
                           .certainty = verdict.finding.certainty,
                           .text = std::move(verdict.finding.text),
                           .fix = std::move(verdict.finding.fix),
                           .evidence = std::move(verdict.finding.evidence),
                           .text_before = pause.before > 0 ? pause.text_before : "",
                           .text_behind = pause.before > 0 ? pause.text_behind : ""};
    owner_.ledger_.add(told);
    if (owner_.options_.on_verdict && verdict.cause != &client_think_cause) owner_.options_.on_verdict(told);
  }
  void on_exchange(const Exchange& exchange) override {
    owner_.ledger_.add_exchange(exchange);
    const Nanos answers = exchange.time.at(static_cast<std::size_t>(Segment::server_answers));
    owner_.ledger_.add_think(who(Side::server), answers - std::exchange(claimed_, Nanos{}));
    for (const LegName leg : {LegName::client, LegName::server}) prove(leg, exchange.end - exchange.begin);
    stalled_ = {};
  }

 private:
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
  // Each is written once: a verdict a millisecond asks for it.
  [[nodiscard]] auto who(Side side) -> const std::string& {
    std::string& name = names_.at(static_cast<std::size_t>(side));
    if (name.empty()) name = name_of(side);
    return name;
  }
  [[nodiscard]] auto name_of(Side side) const -> std::string {
    const std::string client = timeline_->client() ? timeline_->client()->host_string() : "?";
    const std::string server = !owner_.options_.server.empty() ? owner_.options_.server
                               : timeline_->upstream()         ? timeline_->upstream()->to_string()
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
  std::optional<SessionTimeline> timeline_;
  std::array<AckProof, 2> proofs_;  // by LegName
  std::array<bool, 2> stalled_{};   // the open exchange, on this leg
  std::array<std::string, side_count> names_{};
  Nanos claimed_{};  // of the open exchange's server_answers, by other causes than think
};

Diagnosis::Diagnosis(DiagnosisOptions options) : options_(std::move(options)) {}
Diagnosis::~Diagnosis() = default;

void Diagnosis::on_event(const event::Event& event, Nanos /*wall_offset*/) {
  const std::lock_guard lock(mutex_);
  if (const auto* gap = std::get_if<event::Gap>(&event.what)) {
    ledger_.count_missed(gap->chunks + gap->events);
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
  if (std::holds_alternative<std::shared_ptr<const event::SessionClosed>>(event.what)) {
    sessions_.erase({event.proxy, event.session});
  }
}

auto Diagnosis::flush() -> bool {
  const std::lock_guard lock(mutex_);
  return !options_.exchanges || ledger_.exchanges() < *options_.exchanges;
}

auto Diagnosis::report() const -> Report {
  const std::lock_guard lock(mutex_);
  return ledger_.report();
}

}  // namespace weir::diagnose
