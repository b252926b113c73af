#include "diagnose/session_timeline.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weir::diagnose {

auto to_string(Segment segment) -> std::string_view {
  constexpr std::array<std::string_view, segment_count> names{"connecting",     "client_sends", "reads",       "passes",
                                                              "server_answers", "server_sends", "client_waits"};
  return names.at(static_cast<std::size_t>(segment));
}

auto to_string(Side side) -> std::string_view {
  constexpr std::array<std::string_view, 5> names{"client", "server", "path.client", "path.server", "weir"};
  return names.at(static_cast<std::size_t>(side));
}

SessionTimeline::SessionTimeline(ProxyId proxy, SessionNumber session, MonoTime began, TimelineReader& reader)
    : proxy_(proxy), session_(session), began_(began), cursor_(began), reader_(reader) {}

void SessionTimeline::on_event(const event::Event& event) {
  if (const auto* counters = std::get_if<std::shared_ptr<const event::LegCounters>>(&event.what)) {
    return on_counters(*counters, event.time);
  }
  // Who comes later is told of both legs with the time at which they were connected.
  const bool is_past = std::holds_alternative<std::shared_ptr<const event::LegsConnected>>(event.what);
  if (!is_past && std::exchange(is_joined_, false)) cursor_ = event.time;  // mutant: who-came-late-is-blamed
  if (!is_past && !is_same_step(event)) give_pauses();                     // mutant: legs-end-a-pause
  if (const auto* packets = std::get_if<std::shared_ptr<const event::PacketEvidence>>(&event.what)) {
    packets_ = *packets;
  } else if (const auto* accepted = std::get_if<std::shared_ptr<const event::SessionAccepted>>(&event.what)) {
    client_ = (*accepted)->client;
  } else if (const auto* resolved = std::get_if<std::shared_ptr<const event::UpstreamResolved>>(&event.what)) {
    on_resolved(**resolved);
  } else if (const auto* tried = std::get_if<std::shared_ptr<const event::ConnectTried>>(&event.what)) {
    on_tried(**tried);
  } else if (const auto* opened = std::get_if<std::shared_ptr<const event::SessionOpened>>(&event.what)) {
    on_opened(**opened, event.time);
  } else if (const auto* began = std::get_if<std::shared_ptr<const event::FaultBegan>>(&event.what)) {
    // What acts now is told first of all; a session under faults that come and go does not grow for it.
    std::erase(faults_, (*began)->fault);
    if (faults_.size() == most_faults) faults_.erase(faults_.begin());
    faults_.push_back((*began)->fault);
  } else if (const auto* chunk = std::get_if<event::ChunkRead>(&event.what)) {
    on_read(*chunk, event.time);
  } else if (const auto* written = std::get_if<event::ChunkWritten>(&event.what)) {
    on_written(*written, event.time);
  } else if (const auto* half = std::get_if<event::HalfClosed>(&event.what)) {
    on_half_closed(*half, event.time);
  } else if (const auto* closed = std::get_if<std::shared_ptr<const event::SessionClosed>>(&event.what)) {
    on_closed(**closed, event.time);
  }
}

void SessionTimeline::on_resolved(const event::UpstreamResolved& resolved) {
  connect_.name = resolved.name;
  connect_.resolve = resolved.took;
  connect_.failure = resolved.error;
}

void SessionTimeline::on_tried(const event::ConnectTried& tried) {
  upstream_ = tried.upstream;
  ++connect_.attempts;
  connect_.error = tried.error;
  connect_.last_attempt = tried.took;
}

void SessionTimeline::on_opened(const event::SessionOpened& opened, MonoTime now) {
  client_ = opened.client;
  upstream_ = opened.upstream;
  handle_ = opened.handle;
  connected_ = true;
  connecting_ = now - began_;
  if (Pause* pause = spend(Segment::connecting, Direction::upstream, now)) pause->connect = connect_;
  packets_.reset();
  // It is the first that is told of a session that lives already, with the time at which it happened.
  is_joined_ = now == began_;
}

void SessionTimeline::forget() {
  exchange_.reset();
  answered_ = false;
  pauses_.clear();
  counters_ = counters_before_ = {};
  looks_.clear();
  own_looks_.clear();
  process_.reset();
  packets_.reset();
  is_joined_ = true;
  is_whole_ = false;
  seen_bytes_ = true;
  tls_.restart();
  setup_ = {};
  habits_ = {};
  server_finished_.reset();
}

auto SessionTimeline::open(MonoTime now) const -> std::optional<OpenExchange> {
  if (is_joined_ || (connected_ && !exchange_)) return std::nullopt;
  const bool request_held = is_held(Direction::upstream);
  const bool answer_held = is_held(Direction::downstream);
  if (connected_ && answered_ && !answer_held && now - cursor_ > answer_ends) return std::nullopt;
  const auto [segment, direction] = !connected_   ? std::pair(Segment::connecting, Direction::upstream)
                                    : !answered_  ? request_held
                                                        ? std::pair(Segment::passes, Direction::upstream)
                                                        : std::pair(Segment::server_answers, Direction::downstream)
                                     : answer_held ? std::pair(Segment::passes, Direction::downstream)
                                                  : std::pair(Segment::server_sends, Direction::downstream);
  OpenExchange open{.exchange = exchange_.value_or(Exchange{.begin = began_}),
                    .lasting = {.proxy = proxy_,
                                .session = session_,
                                .exchange = exchanges_,
                                .segment = segment,
                                .direction = direction,
                                .begin = cursor_,
                                .length = std::max(now - cursor_, Nanos{0}),
                                .source = evidence_before(source_of(direction), cursor_),
                                .sink = evidence_before(sink_of(direction), cursor_),
                                .faults = faults_,
                                .asked = exchange_ ? exchange_->bytes.at(index(Direction::upstream)) : 0,
                                .pipelined = exchange_ ? exchange_->pipelined : 0,
                                .looks = looks_,
                                .own_looks = own_looks_}};
  if (!connected_) open.lasting.connect = connect_;
  return open;
}

void SessionTimeline::on_written(const event::ChunkWritten& written, MonoTime now) {
  spend(Segment::passes, written.direction, now);
  stream(written.direction).written = written.end_offset;
}

void SessionTimeline::on_counters(const std::shared_ptr<const event::LegCounters>& counters, MonoTime now) {
  for (Pause& pause : pauses_) {
    LegEvidence& evidence = counters->leg == pause.source_leg() ? pause.source : pause.sink;
    if (!evidence.after) evidence.after = counters;
  }
  std::uint32_t& widest = widest_.at(index(counters->leg));
  widest = std::max(widest, counters->congestion_window);
  LastCounters& last = counters_.at(index(counters->leg));
  LastCounters before = std::exchange(last, {.what = counters, .time = now, .reads = 0});
  // Those before them are asked for only if these were told in the midst of a stretch.
  if (now <= cursor_ + least_pause) before = {};
  counters_before_.at(index(counters->leg)) = std::move(before);
  const auto knows_both = [](const Pause& pause) { return pause.source.after && pause.sink.after; };
  if (std::ranges::all_of(pauses_, knows_both)) give_pauses();
}

void SessionTimeline::on_half_closed(const event::HalfClosed& closed, MonoTime now) {
  if (closed.direction != Direction::downstream || closed.fault) return;
  server_finished_ = now;
  finished_idle_ = std::max(now - cursor_, Nanos{});
}

void SessionTimeline::on_closed(const event::SessionClosed& closed, MonoTime now) {
  client_ = closed.client;
  if (closed.upstream) upstream_ = closed.upstream;
  if (!connected_) {
    // A failure is told however soon it came.
    Pause* pause = spend(Segment::connecting, Direction::upstream, now);
    const bool failed = connect_.error != 0 || !connect_.failure.empty();
    if (pause == nullptr && failed) pause = &add_pause(Segment::connecting, Direction::upstream, began_);
    if (pause != nullptr) pause->connect = connect_;
    give_pauses();
    return;
  }
  // Of what was not answered, the time until its last byte counts: how long the rest would have taken, nobody knows.
  if (exchange_) tell_unanswered(now);
  end_exchange();
  give_pauses();
}

void SessionTimeline::tell_unanswered(MonoTime now) {
  give_pauses();
  const MonoTime begin = std::min(cursor_, now);
  // Answered, it may be that the client never got it.
  const Segment segment = answered_ ? Segment::passes : Segment::server_answers;
  const MonoTime cursor = std::exchange(cursor_, std::max(cursor_, now));
  Pause& pause = add_pause(segment, Direction::downstream, begin);
  cursor_ = cursor;
  pause.source = {.before = {}, .after = counters_.at(index(LegName::server)).what};
  pause.sink = {.before = {}, .after = counters_.at(index(LegName::client)).what};
  pause.others_heard = !answered_ && others_were_heard(begin, pause.length);
  if (server_finished_ && *server_finished_ <= exchange_->begin) {
    pause.finished_before = exchange_->begin - *server_finished_;
    pause.finished_idle = finished_idle_;
  }
  reader_.on_unanswered(pause);
  pauses_.clear();
}

// --- time ---

void SessionTimeline::begin_exchange(MonoTime now, Nanos gap) {
  exchange_ = Exchange{.number = ++exchanges_, .begin = now, .end = now, .gap = gap};
  answered_ = false;
  gap_before_ = std::exchange(last_gap_, gap);
  shape_.begin();
  for (const Direction direction : {Direction::upstream, Direction::downstream}) tls_.begin_message(direction);
}

void SessionTimeline::describe(Exchange& exchange) const {
  const TlsMoment tls = tls_.moment(Direction::upstream, exchanges_);
  exchange.purpose = tls.is_tls && !tls.client_data ? Purpose::tls_handshake : setup_.purpose();
  exchange.shape = shape_.hash();
  exchange.bursts = streams_.at(index(Direction::downstream)).bursts;
  if (const auto& counters = counters_.at(index(LegName::server)).what) exchange.own_window = counters->own_window;
  for (const LegName leg : {LegName::client, LegName::server}) {
    const auto& counters = counters_.at(index(leg)).what;
    if (counters) exchange.round_trip.at(index(leg)) = counters->least_round_trip;
  }
}

void SessionTimeline::end_exchange() {
  if (!exchange_) return;
  give_pauses();
  exchange_->end = cursor_;
  exchange_->answered = answered_;
  describe(*exchange_);
  reader_.on_exchange(*exchange_);
  for (std::size_t i = 0; answered_ && i < habitual.size(); ++i) {
    habits_.at(i).add(exchange_->time.at(static_cast<std::size_t>(habitual.at(i))));
  }
  exchange_.reset();
}

auto SessionTimeline::spend(Segment segment, Direction direction, MonoTime until) -> Pause* {
  if (until <= cursor_) return nullptr;
  const Nanos length = until - cursor_;
  const MonoTime begin = std::exchange(cursor_, until);
  // A look behind the stretch's end, at which Weir had not read yet what ended it, says nothing of it.
  const auto is_behind = [until](const PeerLook& look) { return look.time > until; };
  std::erase_if(looks_, is_behind);
  std::erase_if(own_looks_, is_behind);
  auto looks = std::exchange(looks_, {});
  auto own_looks = std::exchange(own_looks_, {});
  const auto process = std::exchange(process_, std::nullopt);
  if (exchange_) exchange_->time.at(static_cast<std::size_t>(segment)) += length;
  if (length < least_pause) return nullptr;
  if (exchange_) exchange_->told.at(static_cast<std::size_t>(segment)) += length;
  Pause& pause = add_pause(segment, direction, begin);
  pause.looks = std::move(looks);
  pause.own_looks = std::move(own_looks);
  pause.server_process = process;
  pause.others_heard = segment == Segment::server_answers && others_were_heard(begin, length);
  return &pause;
}

auto SessionTimeline::spend_own(Segment segment, Direction direction, MonoTime until) -> Pause* {
  if (!packets_ || !packets_->relayed) return spend(segment, direction, until);
  const event::Relayed& other = *packets_->relayed;
  const MonoTime begin = std::clamp(other.begin, cursor_, std::max(cursor_, until));
  const MonoTime end = std::clamp(other.arrived, begin, std::max(begin, until));
  Pause* before = spend(segment, direction, begin);
  if (before != nullptr) before->packets.reset();  // they tell of the whole wait
  if (exchange_) exchange_->relayed += end - begin;
  cursor_ = end;  // mutant: relay-told-twice
  if (end - begin >= least_pause) packets_.reset();
  Pause* behind = spend(segment, direction, until);
  return behind != nullptr ? behind : before;
}

// From `begin` until now, which is cursor_.
auto SessionTimeline::add_pause(Segment segment, Direction direction, MonoTime begin) -> Pause& {
  return pauses_.emplace_back(Pause{.proxy = proxy_,
                                    .session = session_,
                                    .exchange = exchanges_,
                                    .segment = segment,
                                    .direction = direction,
                                    .begin = begin,
                                    .length = cursor_ - begin,
                                    .source = evidence_before(source_of(direction), begin),
                                    .sink = evidence_before(sink_of(direction), begin),
                                    .packets = packets_,
                                    .faults = faults_,
                                    .asked = exchange_ ? exchange_->bytes.at(index(Direction::upstream)) : 0,
                                    .pipelined = exchange_ ? exchange_->pipelined : 0,
                                    .habit = habit_of(segment)});
}

// Of a session's first exchange: behind the first time that its request was sent again, and before the last time that
// this was in vain. The kernel waits for 200 ms at the least, and twice as long each time: what came of the last one,
// the one before was sent at half of its time. A path that was gone for all comes back for all before that last one.
auto SessionTimeline::others_were_heard(MonoTime begin, Nanos length) const -> bool {
  constexpr Nanos first_timer = std::chrono::milliseconds{200};
  return exchanges_ == 1 && reader_.others_heard(begin + first_timer, begin + (length - first_timer) / 2);
}

auto SessionTimeline::habit_of(Segment segment) const -> Habit {
  const auto* const found = std::ranges::find(habitual, segment);
  return found == habitual.end() ? Habit{} : habits_.at(static_cast<std::size_t>(found - habitual.begin()));
}

// --- looks ---

auto SessionTimeline::open_stretch() const -> OpenStretch {
  using What = OpenStretch::What;
  OpenStretch open{.begin = cursor_, .what = exchange_ && !answered_ ? What::asked : What::quiet};
  if (!connected_) open.what = What::connecting;
  for (const Direction direction : {Direction::upstream, Direction::downstream}) {
    const Stream& stream = streams_.at(index(direction));
    if (stream.read > stream.written) {
      open.what = What::blocked;
      open.sink = sink_of(direction);
    }
  }
  return open;
}

void SessionTimeline::add_look(const PeerLook& look) {
  if (looks_.size() < most_looks && look.time >= cursor_) looks_.push_back(look);
}

void SessionTimeline::add_own_look(const PeerLook& look) {
  if (own_looks_.size() < most_looks && look.time >= cursor_) own_looks_.push_back(look);
}

auto SessionTimeline::seen_process() const -> std::optional<std::uint32_t> {
  for (const PeerLook& look : looks_) {
    if (look.leg == LegName::server && look.state.process) return look.state.process->pid;
  }
  return std::nullopt;
}

auto SessionTimeline::evidence_before(LegName leg, MonoTime begin) const -> LegEvidence {
  const LastCounters& last = counters_.at(index(leg));
  // Those that were told in its midst, before what ended it was read, have counted a part of it.
  const LastCounters& earlier = counters_before_.at(index(leg));
  if (last.time > begin + least_pause && earlier.what) {
    return {.before = earlier.what,
            .after = {},
            .before_age = std::max(Nanos{0}, begin - earlier.time),
            .widest = widest_.at(index(leg)),
            .reads = earlier.reads + last.reads};
  }
  return {.before = last.what,
          .after = {},
          .before_age = std::max(Nanos{0}, begin - last.time),
          .widest = widest_.at(index(leg)),
          .reads = last.reads};
}

// The counters come behind all that one step of the relay read and wrote.
auto SessionTimeline::is_same_step(const event::Event& event) const -> bool {
  if (std::holds_alternative<event::ChunkWritten>(event.what)) return true;
  if (pauses_.empty() || !std::holds_alternative<event::ChunkRead>(event.what)) return false;
  return event.time - (pauses_.back().begin + pauses_.back().length) < least_pause;
}

auto SessionTimeline::open_time() const -> std::optional<Nanos> {
  if (!exchange_ || !answered_) return std::nullopt;
  return cursor_ - exchange_->begin - exchange_->relayed;
}

void SessionTimeline::give_pauses() {
  for (const Pause& pause : pauses_) reader_.on_pause(pause);
  pauses_.clear();
}

}  // namespace weir::diagnose
