// A relay between two scripted sockets, and the little of a worker that it needs: edges in order,
// run-again, alarms, the lazily armed timer and parked sessions, as session.cpp does it, on virtual
// time. World::settles() is where everything that can happen now happens.
#pragma once

#include <array>
#include <deque>
#include <string>

#include "event/ring.h"
#include "proxy/fake_tls.h"
#include "proxy/relay.h"
#include "proxy/scripted_kernel.h"
#include "proxy/stages.h"

namespace weir::proxy::scripted {

inline constexpr std::size_t KiB = 1024;
inline constexpr std::size_t MiB = 1024 * KiB;

// A leg as a test chooses it: plain, or with the fake TLS layer over it.
struct PlainLeg {
  using End = ScriptedEnd;
  static constexpr bool has_records = false;
  Socket socket;
  auto end() -> End { return End(socket); }
};
struct TlsLeg {
  using End = FakeTlsEnd;
  static constexpr bool has_records = true;
  Socket socket;
  TlsLayer layer{socket};
  TlsPeer peer{socket};
  auto end() -> End { return End(layer); }
};

// An observer that reads when the test says so.
class Watcher {
 public:
  static constexpr event::EventMask everything = 31 | event::EventKind::chunk_bytes;
  explicit Watcher(const event::RingOptions& options) : ring_(options, std::make_shared<event::ConsumerSignal>()) {
    ring_.set_on_room([this] { room = true; });
    fanout.add(ring_);
  }
  void reads() {
    do {
      ring_.publish();
    } while (ring_.drain([this](event::Event& event) { events.push_back(std::move(event)); }) > 0);
  }
  // The events as lines, oldest first: "up read 0+5 'hello'", "up written 5", "up half-closed", "up sent 5",
  // "server counters at moved".
  [[nodiscard]] auto told() -> std::vector<std::string> {
    reads();
    std::vector<std::string> lines;
    for (const event::Event& event : events) lines.push_back(line(event));
    return lines;
  }
  // All bytes of a direction that were shown, in order; checks that no offset is missing.
  [[nodiscard]] auto shown(Direction direction) -> std::vector<std::byte> {
    reads();
    std::vector<std::byte> bytes;
    for (const event::Event& event : events) {
      const auto* read = std::get_if<event::ChunkRead>(&event.what);
      if (read == nullptr || read->direction != direction) continue;
      require(read->offset == bytes.size(), "a chunk's offset is not where the last one ended");
      const auto chunk = read->bytes.bytes();
      bytes.insert(bytes.end(), chunk.begin(), chunk.end());
    }
    return bytes;
  }

  std::vector<event::Event> events;
  event::Fanout fanout;
  bool room = false;  // a parked direction may go on

 private:
  static auto line(const event::Event& event) -> std::string {
    const auto name = [](Direction direction) { return std::string(direction == Direction::upstream ? "up" : "down"); };
    if (const auto* read = std::get_if<event::ChunkRead>(&event.what)) {
      const auto bytes = read->bytes.bytes();
      const std::string text(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 20));
      return name(read->direction) + " read " + std::to_string(read->offset) + "+" + std::to_string(bytes.size()) +
             " '" + text + "'";
    }
    if (const auto* written = std::get_if<event::ChunkWritten>(&event.what)) {
      return name(written->direction) + " written " + std::to_string(written->end_offset);
    }
    if (const auto* half = std::get_if<event::HalfClosed>(&event.what)) return name(half->direction) + " half-closed";
    if (const auto* sent = std::get_if<event::Sent>(&event.what)) {
      return name(sent->direction) + " sent " + std::to_string(sent->end_offset);
    }
    if (const auto* acknowledged = std::get_if<event::Acknowledged>(&event.what)) {
      return name(acknowledged->direction) + " acknowledged " + std::to_string(acknowledged->end_offset);
    }
    if (const auto* counters = std::get_if<std::shared_ptr<const event::LegCounters>>(&event.what)) {
      static constexpr std::array points{"opened", "moved", "close", "asked"};
      return std::string(to_string((*counters)->leg)) + " counters at " +
             points[static_cast<std::size_t>((*counters)->point)];
    }
    return "gap";
  }
  event::EventRing ring_;
};

template <class ClientLeg = PlainLeg, class ServerLeg = PlainLeg>
class World {
 public:
  using TheRelay = Relay<typename ClientLeg::End, typename ServerLeg::End>;
  static constexpr std::size_t scratch_size = 128 * 1024;

  World() { ScriptedPipe::rules = {}; }
  World(const World&) = delete;
  auto operator=(const World&) -> World& = delete;

  ClientLeg client_leg;
  ServerLeg server_leg;
  Socket& client = client_leg.socket;
  Socket& server = server_leg.socket;
  Timeouts timeouts;
  ManualClock clock;
  BlockPool blocks;
  PipePool<ScriptedPipe> pipes;
  std::optional<Watcher> watcher;
  std::array<bool, 2> edges_are_late{};  // by LegName: its edges wait
  unsigned calls = 0;                    // into the relay
  unsigned reruns = 0;
  unsigned resumes = 0;

  // Before the relay is first touched.
  void is_watched(event::RingOptions options = {.mask = Watcher::everything}) {
    require(!relay_, "watch it from its beginning");
    watcher.emplace(options);
  }

  [[nodiscard]] auto relay() -> TheRelay& {
    if (!relay_) {
      relay_.emplace(context_, timeouts,
                     event::SessionEvents(watcher ? &watcher->fanout : nullptr, ProxyId{7}, SessionNumber{3}));
      relay_->events().select(Address());
      relay_->client().end = client_leg.end();
      relay_->server().end = server_leg.end();
      // One record a read: less than asked for does not mean that the socket is empty.
      relay_->client().short_read_proves_nothing = ClientLeg::has_records;
      relay_->server().short_read_proves_nothing = ServerLeg::has_records;
    }
    return *relay_;
  }
  auto up() -> auto& { return relay().upstream(); }
  auto down() -> auto& { return relay().downstream(); }
  [[nodiscard]] auto now() const -> MonoTime { return clock.mono(); }
  [[nodiscard]] auto closed() -> bool { return relay().phase() == RelayPhase::closed; }
  // "idle.client after 5000 ms"
  [[nodiscard]] auto cause() -> std::string {
    const auto after = std::chrono::duration_cast<std::chrono::milliseconds>(relay().cause().after);
    return std::string(event::to_string(relay().cause())) + " after " + std::to_string(after.count()) + " ms";
  }

  // Puts a stage into the path of a direction's bytes.
  void has_stage(Direction direction, std::unique_ptr<fault::Stage> stage,
                 std::uint64_t queue_limit = fault::default_queue_limit) {
    stages_.emplace_back(std::move(stage));
    fault::SessionFault* const fault = stages_.back().fault();
    const auto put = [&](auto& pump) {
      pump.set_faults({.blocks = blocks, .offset = pump.bytes(), .queue_limit = queue_limit}, {&fault, 1}, {}, now());
    };
    direction == Direction::upstream ? put(up()) : put(down());
  }

  // The session was accepted `age` ago; both legs are connected now.
  void starts(Slice prefilled = {}, Nanos age = {}) {
    relay().start(now(), now() - age, std::move(prefilled));
    after_call();
    settles();
  }

  void relay_is_destroyed() { relay_.reset(); }

  void edge_comes(LegName leg, const Readiness& news) {
    relay().on_ready(leg, news, now());
    after_call();
  }

  // One thing that is due, if there is one.
  auto one_thing_happens() -> bool {
    client.network();
    server.network();
    for (const LegName leg : {LegName::client, LegName::server}) {
      if (edges_are_late[index(leg)]) continue;
      if (const auto news = (leg == LegName::client ? client : server).take_edge()) return edge_comes(leg, *news), true;
    }
    if (std::exchange(rerun_due_, false)) return ++reruns, relay().rerun(now()), after_call(), true;
    if (watcher && parked_ && std::exchange(watcher->room, false)) {
      parked_ = false;
      return ++resumes, relay().rerun(now()), after_call(), true;
    }
    if (alarm_at_ <= now()) {
      alarm_at_ = never;
      return relay().on_alarm(now()), after_call(), true;
    }
    if (timer_at_ <= now()) return timer_fires(), true;
    return false;
  }

  // Nothing is left to happen now, and nothing was kept from happening.
  [[nodiscard]] auto all_is_settled() const -> bool {
    const bool edges = client.has_edge() || server.has_edge();
    const bool due = rerun_due_ || alarm_at_ <= now() || timer_at_ <= now();
    return !edges && !due && !(watcher && parked_ && watcher->room);
  }
  [[nodiscard]] auto timer_is_set_by(MonoTime deadline) const -> bool { return timer_at_ <= deadline; }

  // Everything that can happen without time going by.
  void settles() {
    std::uint64_t moved = moved_so_far();
    for (unsigned in_vain = 0; one_thing_happens(); ++in_vain) {
      if (std::exchange(moved, moved_so_far()) != moved) in_vain = 0;
      require(in_vain < spin_limit, "the relay spins");
    }
  }

  // Time goes by, event by event.
  void passes(Nanos time) {
    settles();
    const MonoTime end = now() + time;
    const MonoTime began = now();
    for (unsigned moments = 0; std::min(alarm_at_, timer_at_) <= end; ++moments) {
      if (now() == began) require(moments < spin_limit, "the relay sets timers for the past");
      require(moments < 100'000, "the relay sets timers without end");
      clock.advance(std::max(std::min(alarm_at_, timer_at_) - now(), Nanos{0}));
      settles();
      if (closed()) break;
    }
    clock.advance(std::max(end - now(), Nanos{0}));
    settles();
  }

  // What a worker does after every call into a relay: Session::settle().
  void after_call() {
    ++calls;
    if (closed()) {
      rerun_due_ = parked_ = false;
      alarm_at_ = timer_at_ = never;
      return;
    }
    rerun_due_ |= relay().wants_rerun();
    parked_ |= relay().parked();
    if (const auto alarm = relay().wants_alarm()) alarm_at_ = *alarm;
    if (!relay().take_deadline_moved_closer()) return;
    if (const auto deadline = relay().deadline(); deadline && *deadline < timer_at_) timer_at_ = *deadline;
  }

  // So much may happen at one moment without a byte read or written.
  static constexpr unsigned spin_limit = 200;
  static constexpr MonoTime never = MonoTime::max();

 private:
  [[nodiscard]] auto moved_so_far() -> std::uint64_t {
    return client.bytes_read() + client.bytes_written() + server.bytes_read() + server.bytes_written();
  }
  void timer_fires() {
    timer_at_ = never;
    relay().on_deadline(now());
    if (!closed()) {
      if (const auto deadline = relay().deadline()) timer_at_ = *deadline;
    }
    after_call();
  }

  std::vector<std::byte> scratch_ = std::vector<std::byte>(scratch_size);
  typename TheRelay::Context context_{clock, scratch_, blocks, pipes};
  std::deque<StageFault> stages_;
  std::optional<TheRelay> relay_;
  MonoTime alarm_at_ = never;
  MonoTime timer_at_ = never;
  bool rerun_due_ = false;
  bool parked_ = false;
};

// Compiled once, in relay_world.cpp: what most tests use.
extern template class World<PlainLeg, PlainLeg>;

}  // namespace weir::proxy::scripted

namespace weir::proxy {
extern template class Pump<scripted::PlainLeg::End, scripted::PlainLeg::End>;
extern template class Relay<scripted::PlainLeg::End, scripted::PlainLeg::End>;
}  // namespace weir::proxy
