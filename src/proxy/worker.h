#pragma once

#include <array>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/histogram.h"
#include "event/ring.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "proxy/session.h"

namespace weir::proxy {

class Acceptor;

// Sums since the worker began; read on its thread.
struct WorkerCounters {
  std::uint64_t sessions = 0;
  std::array<std::uint64_t, 2> bytes{};  // of ended sessions, by Direction
  std::uint64_t connect_failures = 0;
  std::uint64_t watchdog_trips = 0;
  Histogram connect_times;
};

// A proxy as one worker runs it.
struct ProxyOnWorker {
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
  std::size_t index = 0;                      // this proxy's place in each worker's list

  // Null unless somebody observes: the data path's one branch.
  [[nodiscard]] auto fanout() -> event::Fanout* { return observers.empty() ? nullptr : &observers; }
  [[nodiscard]] auto has_faults() const -> bool { return faults != nullptr && !faults->empty(); }
  ~ProxyOnWorker();
};

// One thread's share of everything: a loop, its buffers, the sessions that live on it. Every call on
// the loop's thread, but for those marked. The engine owns it and its thread.
class Worker {
 public:
  Worker(net::EventLoop& loop, net::Resolver& resolver);
  ~Worker();
  Worker(const Worker&) = delete;
  auto operator=(const Worker&) -> Worker& = delete;

  [[nodiscard]] auto loop() -> net::EventLoop& { return loop_; }
  [[nodiscard]] auto resolver() -> net::Resolver& { return resolver_; }
  [[nodiscard]] auto context() -> SocketRelay::Context& { return context_; }
  [[nodiscard]] auto blocks() -> BlockPool& { return blocks_; }
  [[nodiscard]] auto counters() -> WorkerCounters& { return counters_; }

  auto add_proxy(std::unique_ptr<ProxyOnWorker> proxy) -> ProxyOnWorker&;
  // Rings to publish at the end of every turn.
  void add_ring(event::EventRing& ring) { rings_.push_back(&ring); }
  void publish_events();

  // A connection that this worker, or another, accepted.
  void adopt(ProxyOnWorker& proxy, Fd client, Address client_address, SessionNumber number);
  [[nodiscard]] auto proxy(std::size_t index) -> ProxyOnWorker& { return *proxies_[index]; }
  // Open sessions take the list at once; it is in force when this returns.
  void set_faults(ProxyOnWorker& proxy, std::shared_ptr<const fault::FaultList> faults);
  void stop_accepting();
  // For good: what another worker hands over later is ended in the same way.
  void end_all(const event::CloseCause& cause, const std::string& detail);
  // An observer's ring has room again: goes on with what was parked.
  void resume_parked();

  // Live sessions; any thread.
  [[nodiscard]] auto load() const -> std::uint32_t { return load_.load(std::memory_order_relaxed); }
  template <class Visit>
  void each_session(Visit visit) {
    for (Session* session = first_; session != nullptr;) {
      Session* next = session->next_;
      visit(*session);
      session = next;
    }
  }

  // --- for sessions ---
  void ended(Session& session);
  void park(Session& session);
  [[nodiscard]] auto lookup_started(Session& session) -> std::uint64_t;
  void lookup_answered(std::uint64_t ticket, const Result<net::Addresses>& answer);
  void lookup_abandoned(std::uint64_t ticket) { lookups_.erase(ticket); }

  // Where unobserved bytes pass through.
  static constexpr std::size_t scratch_size = 128 * 1024;

 private:
  net::EventLoop& loop_;
  net::Resolver& resolver_;
  std::unique_ptr<std::array<std::byte, scratch_size>> scratch_;
  BlockPool blocks_;
  PipePool<KernelPipe> pipes_;
  SocketRelay::Context context_;
  WorkerCounters counters_;
  std::vector<event::EventRing*> rings_;
  std::vector<std::unique_ptr<ProxyOnWorker>> proxies_;
  std::vector<Session*> parked_;
  std::unordered_map<std::uint64_t, Session*> lookups_;
  std::uint64_t next_ticket_ = 0;
  std::function<void(Session&)> end_newcomer_;  // after end_all
  Session* first_ = nullptr;
  std::atomic<std::uint32_t> load_{0};
};

}  // namespace weir::proxy
