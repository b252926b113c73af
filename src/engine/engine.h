#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/histogram.h"
#include "base/log.h"
#include "engine/listeners.h"
#include "engine/machine.h"
#include "engine/observer_thread.h"
#include "engine/proxy_spec.h"
#include "event/event.h"
#include "fault/fault_list.h"
#include "fault/proxy_faults.h"
#include "net/resolver.h"
#include "proxy/worker.h"

namespace weir::engine {

struct EngineOptions {
  unsigned workers = 1;
  std::uint64_t seed = 0;                             // of all that faults draw
  std::uint64_t fault_bytes = default_fault_bytes();  // of memory, that all faults together may hold
  const Clock* clock = &SystemClock::instance();
  std::vector<proxy::HandshakeInfo> handshakes{};  // that a proxy may name; Weir has none of its own yet
};

struct ObserverSpec {
  std::unique_ptr<event::Observer> observer;
  event::RingOptions ring;                              // per worker
  std::function<bool(std::string_view proxy)> wants{};  // the events of this proxy? Empty: of all
  bool tells_open = true;  // sessions that relay already are told as opened, with the time at which they were
};
// An observer of this engine; never used again.
enum class ObserverId : std::uint32_t {};

// Sums over all workers.
struct Totals {
  std::uint64_t sessions = 0;
  std::uint64_t live = 0;
  std::uint64_t peak = 0;
  std::array<std::uint64_t, 2> bytes{};  // by Direction, live sessions included
  std::uint64_t connect_failures = 0;
  std::uint64_t refused_accepts = 0;
  std::uint64_t watchdog_trips = 0;
  Histogram connect_times;
  bool partial = false;  // a loop was late: its share is missing
};

// What one proxy did since it was created, over all workers, live sessions included.
struct ProxyTraffic {
  proxy::ProxyCounters counters;
  std::uint64_t live = 0;
  std::uint64_t peak = 0;
  std::uint64_t refused_accepts = 0;
};

// A live session, as it stood when its loop was asked.
struct SessionInfo {
  SessionHandle handle{};
  ProxyId proxy{};
  SessionNumber number{};
  Address client;
  std::optional<Address> upstream;  // none before one is tried
  proxy::SessionPhase phase{};
  Nanos age{};
  std::array<event::DirectionTotals, 2> totals{};  // by Direction
  std::vector<std::string> faults;                 // that came into force in its stream, by name
};
struct SessionList {
  std::vector<SessionInfo> sessions;
  std::uint64_t left_out = 0;  // beyond the limit asked for
  bool partial = false;        // a loop was late: its sessions are missing
};

// The workers, their proxies and their observers. Set up and called from one thread (the control
// thread); the workers' and observers' threads are its own.
class Engine {
 public:
  [[nodiscard]] static auto create(const EngineOptions& options) -> Result<std::unique_ptr<Engine>>;
  ~Engine();
  Engine(const Engine&) = delete;
  auto operator=(const Engine&) -> Engine& = delete;

  // At any time: it sees what happens from now on in the proxies that it wants, those to come included. When it
  // returns, every loop tells it (but one that is later than a second). An Error: `most_observers` are there, or no
  // descriptor is left.
  [[nodiscard]] auto attach(ObserverSpec spec) -> Result<ObserverId>;
  // It is given what happened until now and then destroyed, on the control thread, by take_news(). Returns at once
  // and waits for nobody. Sessions that it kept waiting go on.
  void detach(ObserverId id);
  static constexpr std::size_t most_observers = event::Fanout::most_rings;

  // Binds at once; sessions begin with start(). Returns where it listens, with the real port. The listening
  // sockets close with the last acceptor.
  [[nodiscard]] auto add_proxy(ProxySpec spec) -> Result<ListenAddress>;
  void start();

  // The parts of add_proxy, for proxies that come, change and go while sessions run. Each waits for a turn
  // or a few of every loop, never for a peer or a lookup; a loop that is later than a second does its part
  // as soon as it can, in order.
  //
  // Known to all workers; listens nowhere yet.
  [[nodiscard]] auto create_proxy(ProxySpec spec) -> ProxyId;
  // Binds what its rules say, or takes what was bound already, and accepts. Returns where, as add_proxy does.
  // Only if it is closed. An Error too if there is no handshake of the spec's name.
  [[nodiscard]] auto open_proxy(ProxyId id) -> Result<ListenAddress>;
  [[nodiscard]] auto open_proxy(ProxyId id, Listeners listeners) -> Result<ListenAddress>;
  // Binds what these rules say, beside what it may have bound already; nothing is accepted yet.
  [[nodiscard]] auto bind(ProxyId id, const proxy::ProxyRules& rules) -> Result<Listeners>;
  // When it returns true, its listeners and both sockets of each of its sessions are closed. Its session
  // numbers and its counters go on when it is opened again. False: a loop was late.
  auto close_proxy(ProxyId id, const std::string& why) -> bool;
  // Puts other rules in force, for a proxy that is open or closed, and ends no session: each setting takes
  // effect when the catalog says (proxy/setting_catalog.h), `listen` when the proxy is opened the next time and
  // `enabled` never, as opening and closing are the caller's. False: a loop was late.
  auto set_rules(ProxyId id, proxy::ProxyRules rules) -> bool;
  // Closes it and forgets it.
  void remove_proxy(ProxyId id);

  // Has a session's observers told the kernel's counters of both its legs, soon; nothing if it has ended. Any thread.
  void ask_counters(const SessionHandle& handle);

  // Asks every loop; see SessionList. `proxy`: of one only.
  [[nodiscard]] auto sessions(std::optional<ProxyId> proxy, std::size_t most, std::chrono::milliseconds patience)
      -> SessionList;
  // Ends one session, FIN on both legs. False: there is none of this number.
  auto close_session(ProxyId proxy, SessionNumber number, const std::string& why) -> bool;
  [[nodiscard]] auto traffic(std::chrono::milliseconds patience) -> std::map<ProxyId, ProxyTraffic>;
  // How long the slowest loop takes to answer: how far it lags behind now.
  [[nodiscard]] auto loop_lag(std::chrono::milliseconds patience) -> Nanos;

  // Puts another list of faults in force, on open sessions too. True when every worker has taken it: a
  // byte that is sent after that meets the new list. It takes one turn of each loop and waits for no
  // peer. False: a loop was late; it takes the list as soon as it can, and in order with later ones.
  auto set_faults(ProxyId proxy, const std::shared_ptr<const fault::FaultList>& list,
                  std::chrono::milliseconds patience) -> bool;
  // What all workers know of a proxy's faults: how often each applied. Any thread.
  [[nodiscard]] auto faults(ProxyId proxy) const -> const fault::ProxyFaults&;
  // How much all faults hold, and how often the bound held. Any thread.
  [[nodiscard]] auto fault_budget() const -> const fault::ByteBudget& { return fault_budget_; }
  [[nodiscard]] auto seed() const -> std::uint64_t { return seed_; }

  // What the control thread waits for, as a readable descriptor: clear it with take_news().
  [[nodiscard]] auto news_fd() const -> int { return news_.get(); }
  struct News {
    std::vector<ObserverId> deaf;  // observers that take no more since the last news, as their output is closed
    bool all_sessions_ended = false;
    bool accept_limit_reached = false;
  };
  [[nodiscard]] auto take_news() -> News;

  // When it returns, the listeners are closed (unless a loop hangs for more than a second).
  void stop_accepting();
  void end_sessions(const event::CloseCause& cause, const std::string& detail);
  [[nodiscard]] auto live_sessions() const -> std::uint64_t;
  // Asks every loop; a loop that does not answer within `patience` is left out.
  [[nodiscard]] auto totals(std::chrono::milliseconds patience) -> Totals;
  // Ends the workers, then the observers. False: an observer's output is stuck, see
  // ObserverThread::finish.
  [[nodiscard]] auto stop(std::chrono::milliseconds patience) -> bool;

 private:
  struct WorkerThread;
  explicit Engine(const EngineOptions& options);
  auto each_worker(const std::function<void(WorkerThread&)>& task, std::chrono::milliseconds patience) -> bool;
  auto tell_workers(const std::function<void(WorkerThread&)>& task,
                    std::chrono::milliseconds patience = std::chrono::milliseconds{1000}) -> bool;
  void notify();
  void remove_unix_paths();

  [[nodiscard]] auto make_settings(ProxyId id, const ProxySpec& spec) const
      -> std::shared_ptr<const proxy::ProxySettings>;

  const Clock& clock_;
  std::uint64_t seed_;
  std::vector<proxy::HandshakeInfo> handshakes_;
  fault::ByteBudget fault_budget_;
  Fd news_;
  std::atomic<bool> wants_session_ends_{false};  // a wake-up per session costs more than a small session
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  net::SystemResolver resolver_;  // after the workers: it goes before their loops, to which it posts
  struct Proxy {
    ProxySpec spec;
    std::shared_ptr<const proxy::ProxySettings> settings;
    std::shared_ptr<proxy::ProxyShared> shared;
    std::shared_ptr<fault::ProxyFaults> faults;
    std::vector<std::string> unix_paths;  // of its listeners; removed when they close
    bool open = false;
  };
  [[nodiscard]] auto proxy_of(ProxyId id) -> Proxy&;
  std::map<ProxyId, Proxy> proxies_;
  std::uint32_t next_id_ = 0;
  struct Observing {
    ObserverId id{};
    std::unique_ptr<ObserverThread> thread;
    std::function<bool(std::string_view)> wants;
    bool deaf_told = false;
  };
  [[nodiscard]] auto proxies_for(const Observing& observing) const -> std::set<ProxyId>;
  std::vector<Observing> observers_;
  std::vector<std::unique_ptr<ObserverThread>> leaving_;  // detached; they take what is left for them
  std::uint32_t next_observer_ = 0;
  bool running_ = false;
};

}  // namespace weir::engine
