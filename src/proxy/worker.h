#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/histogram.h"
#include "event/fanout.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "proxy/bulk_scheduling.h"
#include "proxy/session.h"

namespace weir::proxy {

class Acceptor;

// Sums since the worker began; read on its thread.
struct WorkerCounters {
  std::uint64_t sessions = 0;
  std::array<std::uint64_t, 2> bytes{};  // of ended sessions, by Direction
  std::uint64_t connect_failures = 0;
  std::uint64_t watchdog_trips = 0;
  std::uint64_t held_up = 0;  // ended sessions that stood still for an observer with policy block
  Nanos longest_held_up{};
  Histogram connect_times;
};

// Sums of one proxy on one worker since it was added, of ended sessions; read on the worker's thread.
struct ProxyCounters {
  std::uint64_t sessions = 0;
  std::array<event::DirectionTotals, 2> totals{};  // by Direction
  std::uint64_t connect_failures = 0;
  std::uint64_t watchdog_trips = 0;
  // By the text of the close cause, whose characters stay for ever.
  std::map<std::string_view, std::uint64_t> closes;
  // Connects that took at most connect_bounds[i], and the longer ones at the end.
  static constexpr std::array<Nanos, 10> connect_bounds{std::chrono::microseconds{100}, std::chrono::microseconds{500},
                                                        std::chrono::milliseconds{1},   std::chrono::milliseconds{5},
                                                        std::chrono::milliseconds{10},  std::chrono::milliseconds{50},
                                                        std::chrono::milliseconds{100}, std::chrono::milliseconds{500},
                                                        std::chrono::seconds{1},        std::chrono::seconds{5}};
  std::array<std::uint64_t, connect_bounds.size() + 1> connects{};
  Nanos connect_time_sum{};
  void add_connect(Nanos took);
  void add(const std::array<event::DirectionTotals, 2>& more);
  void merge(const ProxyCounters& other);
};

// A proxy as one worker runs it.
struct ProxyOnWorker final : net::Disposable {
  std::shared_ptr<const ProxySettings> settings;
  std::shared_ptr<ProxyShared> shared;
  std::unique_ptr<net::SocketFactory> sockets;
  event::Fanout observers;
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  // Both null: a proxy that never has faults.
  std::shared_ptr<const fault::FaultList> faults;
  std::shared_ptr<fault::ProxyFaults> fault_state;
  fault::ByteBudget* fault_budget = nullptr;  // the engine's
  std::vector<Worker*> peers;                 // all workers of the proxy by index, this one included; for handing over
  std::size_t index = 0;                      // by which each worker finds this proxy
  bool open = true;                           // false: what another worker hands over is closed at once
  ProxyCounters counters;

  [[nodiscard]] auto has_faults() const -> bool { return faults != nullptr && !faults->empty(); }
  ~ProxyOnWorker() override;
};

// One thread's share of everything: a loop, its buffers, the sessions that live on it. Every call on
// the loop's thread, but for those marked. The engine owns it and its thread.
class Worker {
 public:
  // `number`: among the engine's workers, from 0.
  Worker(net::EventLoop& loop, net::Resolver& resolver, std::uint32_t number = 0);
  ~Worker();
  Worker(const Worker&) = delete;
  auto operator=(const Worker&) -> Worker& = delete;

  [[nodiscard]] auto number() const -> std::uint32_t { return number_; }
  [[nodiscard]] auto loop() -> net::EventLoop& { return loop_; }
  [[nodiscard]] auto resolver() -> net::Resolver& { return resolver_; }
  [[nodiscard]] auto context() -> SocketRelay::Context& { return context_; }
  [[nodiscard]] auto blocks() -> BlockPool& { return blocks_; }
  [[nodiscard]] auto counters() -> WorkerCounters& { return counters_; }

  auto add_proxy(std::unique_ptr<ProxyOnWorker> proxy) -> ProxyOnWorker&;
  // An observer comes: its ring is published at the end of every turn, and the proxies that `wants` says yes to push
  // into it from now on. `tell_open`: each of their sessions that relays already is told as opened.
  void add_ring(std::shared_ptr<event::EventRing> ring, const std::function<bool(const ProxyOnWorker&)>& wants,
                bool tell_open);
  // It goes: what was pushed until now is still delivered, then the ring is closed. Those that it kept waiting go on.
  void remove_ring(const std::shared_ptr<event::EventRing>& ring);
  // One proxy pushes into a ring that is there already, or no more; open sessions too. The ring has policy drop.
  void observe(ProxyOnWorker& proxy, event::EventRing& ring, bool tell_open);
  void observe_no_more(ProxyOnWorker& proxy, const event::EventRing& ring);
  void publish_events();

  // A connection that this worker, or another, accepted.
  void adopt(ProxyOnWorker& proxy, Fd client, Address client_address, SessionNumber number);
  // Null if it was removed.
  [[nodiscard]] auto find_proxy(std::size_t index) -> ProxyOnWorker*;
  // Ends its sessions: with FIN, as if both programs had closed.
  void close_sessions(const ProxyOnWorker& proxy, const std::string& detail);
  // With its sessions, at the end of the turn.
  void remove_proxy(std::size_t index);
  // For the sessions that it accepts from then on; open ones take over what takes effect in open sessions.
  void set_settings(ProxyOnWorker& proxy, std::shared_ptr<const ProxySettings> settings);
  // Open sessions take the list at once; it is in force when this returns. What it releases is sent in turns.
  void set_faults(ProxyOnWorker& proxy, std::shared_ptr<const fault::FaultList> faults);
  void stop_accepting();
  // For good: what another worker hands over later is ended in the same way.
  void end_all(const event::CloseCause& cause, std::string detail);
  [[nodiscard]] auto has_ring(const event::EventRing& ring) const -> bool;
  // An observer's ring has room again: goes on with what was parked.
  void resume_parked();
  // Sessions that stand still now, as an observer's ring is full; from any thread, each value by itself.
  struct Parked {
    std::size_t sessions = 0;
    SessionNumber first{};  // the one that has waited longest; if there are any
  };
  [[nodiscard]] auto parked() const -> Parked {
    return {parked_count_.load(std::memory_order_relaxed), first_parked_.load(std::memory_order_relaxed)};
  }

  // Null if it has ended.
  [[nodiscard]] auto find_session(const SessionHandle& handle) -> Session*;
  // Live sessions; any thread.
  [[nodiscard]] auto load() const -> std::uint32_t { return load_.load(std::memory_order_relaxed); }
  template <class Visit>
  void each_session(Visit visit) {
    loop_.assert_on_loop_thread();
    for (Session* session = first_; session != nullptr;) {
      Session* next = session->next_;
      visit(*session);
      session = next;
    }
  }

  // --- for sessions ---
  void ended(Session& session);
  void park(Session& session);
  // It waits for the rings at these places of its proxy's fanout, and for no others.
  void note_held_up(Session& session, event::Fanout::Places by);
  [[nodiscard]] auto lookup_started(Session& session) -> std::uint64_t;
  void lookup_answered(std::uint64_t ticket, const Result<net::Addresses>& answer);
  void lookup_abandoned(std::uint64_t ticket) { lookups_.erase(ticket); }

  // Where unobserved bytes pass through.
  static constexpr std::size_t scratch_size = 128 * 1024;

 private:
  net::EventLoop& loop_;
  net::Resolver& resolver_;
  std::uint32_t number_;
  std::unique_ptr<std::array<std::byte, scratch_size>> scratch_;
  BlockPool blocks_;
  PipePool<KernelPipe> pipes_;
  SocketRelay::Context context_;
  KernelThreadScheduling thread_;
  BulkScheduling bulk_;
  WorkerCounters counters_;
  std::vector<std::shared_ptr<event::EventRing>> rings_;
  std::vector<std::shared_ptr<event::EventRing>> leaving_rings_;  // their last events wait for room
  std::unordered_map<std::size_t, std::unique_ptr<ProxyOnWorker>> proxies_;
  // Has the loop turn on while memory is to be given back.
  class Turner final : public net::Rerun {
   public:
    void on_rerun() override {}
  } turner_;
  void count_parked();
  static void count_close(ProxyOnWorker& proxy, const event::CloseCause& cause);
  std::vector<Session*> parked_;
  // By which rings, as their places in the fanout of the session's proxy. A session that is resumed stays here until it
  // has tried: what one ring holds up does not begin anew each time that another has room.
  std::unordered_map<Session*, event::Fanout::Places> held_up_;
  std::atomic<std::size_t> parked_count_{0};
  std::atomic<SessionNumber> first_parked_{};
  std::unordered_map<std::uint64_t, Session*> lookups_;
  std::uint64_t next_ticket_ = 0;
  void end_with_all(Session& session) const;
  struct EndOfAll {
    event::CloseCause cause;
    std::string detail;
  };
  std::optional<EndOfAll> end_of_all_;  // after end_all
  Session* first_ = nullptr;
  std::atomic<std::uint32_t> load_{0};
};

}  // namespace weir::proxy
