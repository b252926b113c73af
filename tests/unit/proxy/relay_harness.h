// A relay's whole life from a script of bytes, with the promises of the data path checked at every
// step: what comes out is a prefix of what went in, FIN in order and never early, a reset never as
// FIN, nothing read while bytes are due, bounded memory, no spin, every session ends, every end is
// closed, the counters add up. The property test feeds it random scripts, libFuzzer mutated ones.
#pragma once

#include <array>
#include <span>
#include <utility>

#include "proxy/relay_world.h"
#include "proxy/stages.h"

namespace weir::proxy::scripted {

class Script {
 public:
  explicit Script(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  auto next() -> unsigned {
    if (bytes_.empty()) return 0;
    const unsigned value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  template <class T, std::size_t N>
  auto choose(const std::array<T, N>& from) -> T {
    return from[next() % N];
  }
  [[nodiscard]] auto ended() const -> bool { return bytes_.empty(); }

 private:
  std::span<const std::uint8_t> bytes_;
};

enum class StageKind : std::uint8_t { none, delay, slice, limit_fin, limit_session_fin, limit_reset, swallow };

template <class ClientLeg, class ServerLeg>
class Trial {
 public:
  using TheWorld = World<ClientLeg, ServerLeg>;
  static constexpr std::uint64_t queue_limit = 256 * 1024;
  static constexpr std::size_t payload_limit = 512 * 1024;
  static constexpr int most_operations = 300;

  explicit Trial(Script script) : script_(script) {}

  void run() {
    choose_settings();
    begin();
    for (int i = 0; i < most_operations && !script_.ended(); ++i) {
      operation();
      check_always();
    }
    let_it_end();
    check_end();
  }

 private:
  static constexpr std::array<std::size_t, 12> sizes{
      1, 2, 100, 1448, 5000, 16 * 1024 - 1, 16 * 1024, 64 * 1024, 65 * 1024, 128 * 1024 + 1, 200'000, 500'000};

  void choose_settings() {
    const unsigned flags = script_.next();
    if ((flags & 1) != 0) {
      watched_ = {(flags & 2) != 0, (flags & 4) != 0};
      drops_ = (flags & 8) != 0;
      world_.is_watched({.policy = drops_ ? event::FullPolicy::drop : event::FullPolicy::block,
                         .mask = Watcher::everything | event::EventKind::sent | event::EventKind::acknowledged |
                                 event::EventKind::leg_counters,
                         .directions = watched_,
                         .slots = 8,
                         .payload_limit = payload_limit});
    }
    world_.client.stamps_by_itself = world_.server.stamps_by_itself = true;
    if ((flags & 16) != 0) set_short_timeouts();
    if ((flags & 32) != 0) world_.timeouts.set(event::TimeoutName::reset_grace, std::nullopt);
    world_.client.splices = (flags & 64) == 0;
    silent_end_ = (flags & 128) != 0;
    ScriptedPipe::rules = {.to_be_had = script_.choose(std::array{1000, 1, 0}),
                           .slots = script_.choose(std::array<std::size_t, 3>{16, 2, 1}),
                           .segment = script_.choose(std::array<std::size_t, 3>{64 * 1024, 1448, 4096}),
                           .most_per_move_out = script_.choose(std::array<std::size_t, 3>{~0U, 3000, 50'000})};
    for (Socket* socket : {&world_.client, &world_.server}) {
      socket->send_buffer = script_.choose(std::array<std::size_t, 5>{256 * 1024, 100, 3000, 70'000, 1024 * 1024});
    }
    stages_ = {static_cast<StageKind>(script_.next() % 7), static_cast<StageKind>(script_.next() % 7)};
  }

  void set_short_timeouts() {
    using enum event::TimeoutName;
    using std::chrono::seconds;
    for (const auto& [name, value] : {std::pair{idle, 20},
                                      {idle_client, 7},
                                      {idle_server, 3},
                                      {first_byte_client, 9},
                                      {first_byte_server, 8},
                                      {write_stall, 5},
                                      {half_close, 11},
                                      {max_duration, 100}}) {
      world_.timeouts.set(name, seconds{value});
    }
  }

  void begin() {
    // A stage that hands nothing on pauses the clocks of silence: the session needs another end.
    if (stages_[0] == StageKind::swallow || stages_[1] == StageKind::swallow) {
      world_.timeouts.set(event::TimeoutName::max_duration, std::chrono::minutes{10});
    }
    put_stage(Direction::upstream, stages_[0]);
    put_stage(Direction::downstream, stages_[1]);
    if constexpr (!ClientLeg::has_records && !ServerLeg::has_records) {
      world_.client.before_read = [this] { require_nothing_due(world_.up(), stages_[0]); };
      world_.server.before_read = [this] { require_nothing_due(world_.down(), stages_[1]); };
    }
    world_.client.before_fin = [this] { require_fin_is_due(world_.server_leg, world_.down(), stages_[1]); };
    world_.server.before_fin = [this] { require_fin_is_due(world_.client_leg, world_.up(), stages_[0]); };
    for (unsigned early = script_.next() % 4; early > 0; --early) operation();
    const unsigned prefilled = script_.next();
    if (prefilled >= 200) prefilled_ = pattern(1'000'000, prefilled);
    started_ = true;
    world_.starts(prefilled_.empty() ? Slice{} : world_.blocks.copy(prefilled_));
    check_always();
  }

  void put_stage(Direction direction, StageKind kind) {
    if (kind != StageKind::none) world_.has_stage(direction, make_stage(kind), queue_limit);
  }
  auto make_stage(StageKind kind) -> std::unique_ptr<fault::Stage> {
    const auto limit = [&](fault::End how) { return std::make_unique<LimitStage>(script_.choose(sizes), how); };
    switch (kind) {
      case StageKind::delay: return std::make_unique<DelayStage>(std::chrono::milliseconds{script_.next() * 10});
      case StageKind::slice: return std::make_unique<SliceStage>(2000 + 100 * script_.next());
      case StageKind::limit_fin: return limit(fault::End::fin);
      case StageKind::limit_session_fin: return limit(fault::End::session_fin);
      case StageKind::limit_reset: return limit(fault::End::session_reset);
      case StageKind::none:
      case StageKind::swallow: break;
    }
    return std::make_unique<SwallowStage>();
  }

  template <class Leg>
  void peer_sends(Leg& leg, std::size_t n) {
    if (sent(leg).size() > 2'000'000) return;  // enough of one script
    if constexpr (Leg::has_records) {
      leg.peer.sends_bulk(n);
    } else {
      leg.socket.sends_bulk(n);
    }
  }
  template <class Leg>
  void peer_says_something_special(Leg& leg, unsigned what) {
    if constexpr (Leg::has_records) {
      if (what % 4 == 0) leg.peer.sends_key_update();
      if (what % 4 == 1) leg.peer.sends_reply();
      if (what % 4 == 2) leg.layer.write_needs_reply(), injected_ = true;  // FIN instead of it breaks the leg
      if (what % 4 == 3) leg.peer.sends_close_notify(), leg.socket.sends_fin();
    } else if (what % 2 == 0) {
      leg.socket.sends_urgent('!');
    } else {
      leg.socket.close_write_waits.push_back(true);
      leg.socket.spurious_edge();
    }
  }

  void operation() {
    const unsigned op = script_.next();
    (op & 1) != 0 ? on_leg(op >> 1, world_.client_leg, LegName::client)
                  : on_leg(op >> 1, world_.server_leg, LegName::server);
  }

  void on_leg(unsigned op, auto& leg, LegName name) {
    Socket& socket = leg.socket;
    switch (op % 20) {
      case 0:
      case 1:
      case 2:
      case 3: return peer_sends(leg, script_.choose(sizes));
      case 4: return socket.sends_fin();
      case 5: return socket.resets(script_.choose(std::array{ECONNRESET, ECONNRESET, ETIMEDOUT, EHOSTUNREACH}));
      case 6: return socket.stops_reading();
      case 7: return socket.reads_on();
      case 8: return socket.takes(script_.choose(sizes));
      case 9: world_.edges_are_late[index(name)] = !world_.edges_are_late[index(name)]; return;
      case 10: return spurious(name, script_.next());
      case 11: return peer_says_something_special(leg, script_.next());
      case 12: return socket.raise_notice();
      case 13: return fail_next(socket, script_.next());
      case 14:
        if (world_.watcher) world_.watcher->reads();
        return;
      case 15: socket.send_buffer = std::max<std::size_t>(script_.choose(sizes), 100); return;
      case 16:
        if (started_) world_.passes(std::chrono::milliseconds{script_.choose(waits)});
        return;
      case 17:
        if (started_) (void)world_.one_thing_happens();
        return;
      case 18:
        if (started_ && !world_.closed()) world_.relay().rerun(world_.now()), world_.after_call();
        return;
      default:
        if (started_) world_.settles();
        return;
    }
  }
  static constexpr std::array<int, 8> waits{0, 1, 10, 100, 999, 1000, 4999, 61'000};

  void spurious(LegName leg, unsigned flags) {
    if (world_.closed()) return;
    world_.edge_comes(leg, {.readable = (flags & 1) != 0,
                            .writable = (flags & 2) != 0,
                            .hang_up = (flags & 4) != 0,
                            .urgent = (flags & 8) != 0,
                            .notice = (flags & 16) != 0});
  }
  void fail_next(Socket& socket, unsigned what) {
    injected_ = true;
    if (what % 4 == 0) socket.fail_reads.push_back(ENOMEM);
    if (what % 4 == 1) socket.fail_reads.push_back(EINVAL);
    if (what % 4 == 2) socket.fail_writes.push_back(ENOBUFS);
    if (what % 4 == 3) ScriptedPipe::rules.to_be_had = 0;
  }

  // Both peers do what well-behaved peers do, the observer reads, time goes by.
  void let_it_end() {
    world_.edges_are_late = {};
    for (Socket* socket : {&world_.client, &world_.server}) {
      socket->reads_on();
      if (!silent_end_) socket->sends_fin();
    }
    // A slow observer with few slots may need many rounds: only those that move nothing are counted.
    std::size_t moved = 0;
    for (int idle = 0; idle < 100 && !world_.closed(); ++idle) {
      world_.settles();
      if (world_.watcher) world_.watcher->reads();
      world_.settles();
      check_always();
      if (!world_.watcher || !world_.relay().parked()) world_.passes(std::chrono::minutes{20});
      const std::size_t now =
          world_.client.bytes_written() + world_.server.bytes_written() + world_.up().bytes() + world_.down().bytes();
      if (now != std::exchange(moved, now)) idle = 0;
    }
    require(world_.closed(), "a session does not end");
    world_.client.network();
    world_.server.network();
    check_always();
  }

  // ---- the promises ----
  template <class Leg>
  static auto sent(Leg& leg) -> const std::vector<std::byte>& {
    if constexpr (Leg::has_records)
      return leg.peer.sent();
    else
      return leg.socket.sent();
  }
  template <class Leg>
  static auto received(Leg& leg) -> const std::vector<std::byte>& {
    if constexpr (Leg::has_records)
      return leg.peer.received();
    else
      return leg.socket.received();
  }
  static auto gives_up_bytes(StageKind kind) -> bool { return kind >= StageKind::limit_fin; }

  void require_nothing_due(auto& pump, StageKind stage) {
    if (!gives_up_bytes(stage)) require(pump.undelivered() == pump.held_by_faults(), "a read while bytes are due");
  }

  template <class Source>
  void require_fin_is_due(Source& source, auto& pump, StageKind stage) {
    if (world_.closed() || gives_up_bytes(stages_[0]) || gives_up_bytes(stages_[1])) return;
    (void)stage;
    require(pump.undelivered() == 0, "FIN before bytes that are due");
    require(source.socket.sent_fin() || source_ended(source), "FIN, and the source sent none");
    require(source.socket.unread() == 0 || source_ended(source), "FIN before bytes that were not read");
  }
  template <class Source>
  static auto source_ended(Source& source) -> bool {
    if constexpr (Source::has_records)
      return source.layer.has_ended();
    else
      return false;
  }

  void check_always() {
    check_prefix(sent_upstream(), received(world_.server_leg), checked_[0]);
    check_prefix(sent(world_.server_leg), received(world_.client_leg), checked_[1]);
    if (!started_) return;
    require(world_.up().held_by_faults() <= queue_limit + TheWorld::scratch_size, "a stage holds too much");
    require(world_.down().held_by_faults() <= queue_limit + TheWorld::scratch_size, "a stage holds too much");
    // Rings and stages hold references to blocks; beyond those a direction keeps one read at most.
    constexpr std::size_t most = 2 * payload_limit + 4 * (queue_limit + TheWorld::scratch_size) + 1024 * 1024;
    require(world_.blocks.allocated_bytes() - world_.blocks.cached_bytes() <= most, "too many blocks in use");
    require(world_.relay().watchdog_trips() == 0, "the watchdog had to bark");
    check_clocks();
  }

  auto sent_upstream() -> const std::vector<std::byte>& {
    if (prefilled_.empty()) return sent(world_.client_leg);
    upstream_ = prefilled_;
    const auto& rest = sent(world_.client_leg);
    upstream_.insert(upstream_.end(), rest.begin(), rest.end());
    return upstream_;
  }

  static void check_prefix(const std::vector<std::byte>& in, const std::vector<std::byte>& out, std::size_t& checked) {
    require(out.size() <= in.size(), "more came out than went in");
    require(std::equal(out.begin() + static_cast<std::ptrdiff_t>(checked), out.end(),
                       in.begin() + static_cast<std::ptrdiff_t>(checked)),
            "what came out is not what went in");
    checked = out.size();
  }

  // Whenever all that is due now has happened, no clock has run out.
  void check_clocks() {
    if (world_.relay().phase() != RelayPhase::relaying || !world_.all_is_settled()) return;
    const auto deadline = world_.relay().deadline();
    require(!deadline || *deadline >= world_.now(), "a clock has run out, and the session lives");
    require(!deadline || world_.timer_is_set_by(*deadline), "a clock runs, and no timer is set for it");
  }

  void check_end() {
    using event::CloseReason;
    const auto& cause = world_.relay().cause();
    require(!world_.client.is_open() && !world_.server.is_open(), "an end was left open");
    require(!world_.relay().wants_rerun() && !world_.relay().wants_alarm() && !world_.relay().deadline(),
            "a closed session wants something");
    const bool in_order = cause.reason == CloseReason::client_fin || cause.reason == CloseReason::server_fin;
    const bool by_leg = cause.reason == CloseReason::client_reset || cause.reason == CloseReason::server_reset ||
                        cause.reason == CloseReason::client_error || cause.reason == CloseReason::server_error ||
                        cause.reason == CloseReason::keepalive ||
                        (cause.reason == CloseReason::timeout && cause.timeout == event::TimeoutName::tcp_user_timeout);
    require(world_.client.was_reset_by_us() == world_.server.was_reset_by_us(), "one leg reset, the other closed");
    if (in_order) check_end_in_order();
    if (by_leg) check_end_by_leg(*cause.leg);
    check_totals(world_.up(), world_.client_leg, world_.server, Direction::upstream);
    check_totals(world_.down(), world_.server_leg, world_.client, Direction::downstream);
    check_events();
  }

  void check_end_in_order() {
    const bool all = !gives_up_bytes(stages_[0]) && !gives_up_bytes(stages_[1]);
    if (world_.client.is_dead() || world_.server.is_dead() || !all) return;
    require(world_.client.saw_fin() && world_.server.saw_fin(), "ended in order without FIN");
    require(received(world_.server_leg) == sent_upstream(), "ended in order, and upstream bytes are missing");
    require(received(world_.client_leg) == sent(world_.server_leg), "ended in order, and downstream bytes are missing");
  }

  void check_end_by_leg(LegName broken) {
    require(world_.client.was_reset_by_us(), "a broken leg was not passed on as a reset");
    Socket& from = broken == LegName::client ? world_.client : world_.server;
    Socket& to = broken == LegName::client ? world_.server : world_.client;
    require(from.is_dead() || injected_, "a leg that lives was called broken");
    if (injected_ || to.is_dead() || gives_up_bytes(stages_[0]) || gives_up_bytes(stages_[1])) return;
    require(to.saw_reset() || (to.saw_fin() && to.sent_fin()), "the reset did not arrive");
    if (world_.relay().grace_expired()) return;
    const auto& in = broken == LegName::client ? sent_upstream() : sent(world_.server_leg);
    const auto& out = broken == LegName::client ? received(world_.server_leg) : received(world_.client_leg);
    require(in == out, "a reset overtook the bytes before it");
  }

  template <class Source>
  void check_totals(auto& pump, Source& source, Socket& sink, Direction direction) {
    const auto totals = world_.relay().totals()[index(direction)];
    const std::size_t early = direction == Direction::upstream ? prefilled_.size() : 0;
    if constexpr (!Source::has_records) {
      require(totals.bytes == source.socket.bytes_read() + early, "bytes were miscounted");
    }
    require(totals.undelivered >= pump.undelivered(), "undelivered bytes were miscounted");
    require((totals.bytes == 0) == (totals.chunks == 0), "chunks were miscounted");
    const bool plain_sink = direction == Direction::upstream ? !ServerLeg::has_records : !ClientLeg::has_records;
    if (!plain_sink) return;  // there the kernel's bytes are not the stream's
    require(totals.undelivered <= totals.bytes, "more undelivered than there were");
    require(totals.bytes - pump.undelivered() == sink.bytes_written(), "written bytes were miscounted");
  }

  void check_events() {
    if (!world_.watcher) return;
    for (int i = 0; i < 1000; ++i) world_.watcher->reads();
    if (!drops_) check_chunks();
    check_stamps();
  }

  // Evidence is dropped where a ring is full; what is told is true.
  void check_stamps() {
    std::array<std::array<std::uint64_t, 2>, 2> last{};  // by kind, by direction
    bool lost = false;
    for (const event::Event& event : world_.watcher->events) {
      lost |= std::holds_alternative<event::Gap>(event.what);
      const auto rises = [&](std::size_t kind, Direction direction, std::uint64_t end) {
        require(watched_[index(direction)], "a stamp of a direction that nobody watches");
        require(end >= last[kind][index(direction)], "the offsets of stamps fall");
        last[kind][index(direction)] = end;
      };
      if (const auto* sent = std::get_if<event::Sent>(&event.what)) rises(0, sent->direction, sent->end_offset);
      if (const auto* acknowledged = std::get_if<event::Acknowledged>(&event.what)) {
        rises(1, acknowledged->direction, acknowledged->end_offset);
      }
    }
    check_last_stamps<ServerLeg>(Direction::upstream, world_.up().written(), last, lost);
    check_last_stamps<ClientLeg>(Direction::downstream, world_.down().written(), last, lost);
  }
  template <class Sink>
  void check_last_stamps(Direction direction, std::uint64_t written,
                         const std::array<std::array<std::uint64_t, 2>, 2>& last, bool lost) {
    const std::uint64_t sent = last[0][index(direction)];
    const std::uint64_t acknowledged = last[1][index(direction)];
    require(sent <= written, "more was sent than was written");
    require(lost || acknowledged <= sent, "more was acknowledged than was sent");
    if (lost || Sink::has_records || !watched_[index(direction)]) return;
    require(sent == written, "a stamp was lost");
  }

  void check_chunks() {
    std::array<std::uint64_t, 2> written{};
    for (const event::Event& event : world_.watcher->events) {
      const auto* write = std::get_if<event::ChunkWritten>(&event.what);
      if (write == nullptr) continue;
      std::uint64_t& last = written[index(write->direction)];
      require(write->end_offset > last, "written offsets do not rise");
      last = write->end_offset;
    }
    for (const Direction direction : {Direction::upstream, Direction::downstream}) {
      if (!watched_[index(direction)]) continue;
      const auto shown = world_.watcher->shown(direction);
      const bool up = direction == Direction::upstream;
      const auto& in = up ? sent_upstream() : sent(world_.server_leg);
      require(shown.size() == (up ? world_.up().bytes() : world_.down().bytes()), "an observer missed bytes");
      require(shown.size() <= in.size() && std::equal(shown.begin(), shown.end(), in.begin()),
              "an observer saw other bytes");
      const std::uint64_t taken =
          up ? world_.up().bytes() - world_.up().undelivered() : world_.down().bytes() - world_.down().undelivered();
      require(written[index(direction)] == taken, "an observer was told of other writes");
    }
  }

  Script script_;
  TheWorld world_;
  std::array<StageKind, 2> stages_{};
  std::array<bool, 2> watched_{};
  std::vector<std::byte> prefilled_, upstream_;
  std::array<std::size_t, 2> checked_{};
  bool drops_ = false;
  bool silent_end_ = false;
  bool started_ = false;
  bool injected_ = false;
};

// Throws Violation when a promise is broken.
inline void run_script(std::span<const std::uint8_t> bytes) {
  const int pipes = ScriptedPipe::alive;
  Script script(bytes);
  switch (script.next() % 8) {
    case 0: Trial<TlsLeg, PlainLeg>(script).run(); break;
    case 1: Trial<PlainLeg, TlsLeg>(script).run(); break;
    default: Trial<PlainLeg, PlainLeg>(script).run(); break;
  }
  require(ScriptedPipe::alive == pipes, "a pipe leaked");
}

}  // namespace weir::proxy::scripted
