#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/histogram.h"
#include "base/log.h"
#include "engine/ask.h"
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
  Nanos poll{};  // how long a worker asks for events before it sleeps, at most; 0: never
};

struct ObserverSpec {
  std::unique_ptr<event::Observer> observer;
  event::RingOptions ring;                              // per worker
  std::function<bool(std::string_view proxy)> wants{};  // the events of this proxy? Empty: of all
  // And only while its rules say so, open sessions included; empty: whatever they say. The ring's policy must be drop.
  std::function<bool(const proxy::ProxyRules&)> wants_rules{};
  bool tells_open = true;  // sessions that relay already are told as opened, with the time at which they were
  // For whoever is told that it holds traffic up.
  std::string name{};     // what it is, or where it writes to; observers may share one
  std::string reader{};   // who reads it, if that is known: an address
  std::string way_out{};  // what to do about it: "end it, or ..."
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
  std::uint64_t held_up = 0;  // ended sessions that stood still for an observer with policy block
  Nanos longest_held_up{};
  Histogram connect_times;
  bool partial = false;  // a loop was late: its share is missing
};

// How far observers are behind: what those that are there were not told, and whom they hold up now.
struct ObserverLag {
  event::EventRing::Dropped dropped;
  std::size_t held_up = 0;  // sessions
  SessionNumber first{};    // one of them, which has waited longest on its worker
};

// What an observer with policy block holds up, over all workers.
struct ObserverHold {
  std::string observer;  // these as of its ObserverSpec
  std::string reader;
  std::string way_out;
  std::size_t sessions = 0;   // now
  std::size_t listeners = 0;  // now: one may count once for each worker that does not accept from it
  Nanos longest{};            // for so long it has made no room where something waits; 0: nothing waits
  Nanos waited{};             // all waits for it until now, together
};

// What one proxy did since it was created, over all workers, live sessions included.
struct ProxyTraffic {
  proxy::ProxyCounters counters;
  std::uint64_t live = 0;
  std::uint64_t peak = 0;
  std::uint64_t refused_accepts = 0;
};
struct Traffic {
  std::map<ProxyId, ProxyTraffic> proxies;
  bool partial = false;  // a loop was late: its share is missing
  Nanos took{};          // from the question to the last answer
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

// A proxy that was opened and then could not be accepted for on a worker's loop: it is closed again.
struct FailedOpening {
  ProxyId proxy{};
  std::uint64_t change = 0;  // the number of the change that opened it, see Engine::changes
  Error error;
};

// The workers, their proxies and their observers. Set up and called from one thread (the control
// thread); the workers' and observers' threads are its own.
//
// No call waits for a worker's loop. What changes something is in force on the control thread when it returns, and is
// posted to every loop, which takes it in the order of the calls; settle() tells when all have. What is asked comes
// back to the asker's loop, see ask.h. Before start() and after stop() every loop is the caller's: what is called then
// is done when it returns, and an answer comes before it returns.
class Engine {
 public:
  [[nodiscard]] static auto create(const EngineOptions& options) -> Result<std::unique_ptr<Engine>>;
  ~Engine();
  Engine(const Engine&) = delete;
  auto operator=(const Engine&) -> Engine& = delete;

  // At any time: it sees what happens in the proxies that it wants, those to come included, from when each loop takes
  // it. An Error: `most_observers` are there, or no descriptor or no thread is left.
  [[nodiscard]] auto attach(ObserverSpec spec) -> Result<ObserverId>;
  // It is given what happened until now and then destroyed, on the control thread, by take_news(). Sessions that it
  // kept waiting go on. It needs no memory, as it is called in destructors.
  void detach(ObserverId id);
  [[nodiscard]] auto observer_lag() const -> ObserverLag;
  // Of each that is there and has policy block, also while it holds up nothing.
  [[nodiscard]] auto observer_holds() const -> std::vector<ObserverHold>;
  // By the names of observers, for how long things waited for those that have gone. There are as many names as the
  // caller has given.
  [[nodiscard]] auto waited_for_gone() const -> const std::map<std::string, Nanos>& { return waited_for_gone_; }
  static constexpr std::size_t most_observers = event::Fanout::most_rings;

  // Binds at once; sessions begin with start(). Returns where it listens, with the real port. The listening
  // sockets close with the last acceptor.
  [[nodiscard]] auto add_proxy(ProxySpec spec) -> Result<ListenAddress>;
  // Once. An Error: the system has no thread for a worker; none runs then.
  auto start() -> Result<void>;

  // The parts of add_proxy, for proxies that come, change and go while sessions run.
  //
  // Known to all workers; listens nowhere yet.
  [[nodiscard]] auto create_proxy(ProxySpec spec) -> ProxyId;
  // Binds what its rules say, or takes what was bound already, and accepts. Returns where, as add_proxy does.
  // Only if it is closed. An Error too if there is no handshake of the spec's name. What fails later, on a worker's
  // loop (no memory to watch one more socket), is told by take_failed_openings().
  [[nodiscard]] auto open_proxy(ProxyId id) -> Result<ListenAddress>;
  [[nodiscard]] auto open_proxy(ProxyId id, Listeners listeners) -> Result<ListenAddress>;
  // Binds what these rules say, beside what it may have bound already; nothing is accepted yet.
  [[nodiscard]] auto bind(ProxyId id, const proxy::ProxyRules& rules) -> Result<Listeners>;
  // When it returns, nobody is accepted any more and its addresses are free to be bound again, but for a socket that
  // was given, which closes when the loops let go of it. Both sockets of each of its sessions close when the loops take
  // the change. Its session numbers and its counters go on when it is opened again.
  void close_proxy(ProxyId id, const std::string& why);
  // Puts other rules in force, for a proxy that is open or closed, and ends no session: each setting takes
  // effect when the catalog says (proxy/setting_catalog.h), `listen` when the proxy is opened the next time and
  // `enabled` never, as opening and closing are the caller's.
  void set_rules(ProxyId id, proxy::ProxyRules rules);
  // Closes it and forgets it.
  void remove_proxy(ProxyId id);
  // Puts another list of faults in force, on open sessions too: a byte that is sent after the change is settled meets
  // the new list. It takes one turn of each loop and waits for no peer.
  void set_faults(ProxyId proxy, const std::shared_ptr<const fault::FaultList>& list);

  // How many changes were posted to the loops until now.
  [[nodiscard]] auto changes() const -> std::uint64_t { return changes_; }
  // Has every loop taken them all, or was too late for whoever asked?
  [[nodiscard]] auto is_settled() const -> bool { return settled_ == changes_; }
  // Up to which change all have.
  [[nodiscard]] auto settled() const -> std::uint64_t { return settled_; }
  // Is called whenever settled() has grown, before whoever waited for that.
  void set_on_settled(std::function<void()> on_settled) { on_settled_ = std::move(on_settled); }
  // Calls `then` when every loop has taken all changes until now: at once if they have. False: one was later than the
  // asker's patience; it takes them as soon as it can.
  void settle(const Asker& asker, std::function<void(bool all)> then);
  // Those that failed since the last call. They are also news.
  [[nodiscard]] auto take_failed_openings() -> std::vector<FailedOpening>;

  // Has a session's observers told the kernel's counters of both its legs, soon; nothing if it has ended. Any thread.
  void ask_counters(const SessionHandle& handle);
  // What the next so many reads of one of its legs take is acknowledged at once, for a proof by comparison; nothing if
  // it has ended. Any thread.
  void acknowledge_at_once(const SessionHandle& handle, LegName leg, unsigned reads);

  // At most `most` sessions, by proxy and number. `proxy`: of one only.
  void sessions(const Asker& asker, std::optional<ProxyId> proxy, std::size_t most,
                std::function<void(SessionList)> then);
  // Ends one session, FIN on both legs, when its loop takes it. `late`: it was not found, and not all loops answered.
  enum class SessionEnd : std::uint8_t { closing, unknown, late };
  void close_session(const Asker& asker, ProxyId proxy, SessionNumber number, const std::string& why,
                     std::function<void(SessionEnd)> then);
  void traffic(const Asker& asker, std::function<void(Traffic)> then);
  // How long the slowest loop takes to answer: how far it lags behind now. At least the patience if one was late.
  void loop_lag(const Asker& asker, std::function<void(Nanos)> then);
  void totals(const Asker& asker, std::function<void(Totals)> then);
  // The same for who has no loop to ask from, such as the last report of `weir tap`: before start() and after stop(),
  // when nobody has to be asked. In between only what all threads know is in it, and it is partial.
  [[nodiscard]] auto totals() const -> Totals;

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
    bool openings_failed = false;  // see take_failed_openings
  };
  [[nodiscard]] auto take_news() -> News;

  // When it returns, nobody is accepted any more; a listener that was given closes when the loops let go of it.
  void stop_accepting();
  void end_sessions(const event::CloseCause& cause, const std::string& detail);
  [[nodiscard]] auto live_sessions() const -> std::uint64_t;
  // Ends the workers, then the observers. False: an observer's output is stuck, see
  // ObserverThread::finish.
  [[nodiscard]] auto stop(std::chrono::milliseconds patience) -> bool;

 private:
  struct WorkerThread;
  explicit Engine(const EngineOptions& options);
  // A change: runs `task` on every loop, in order. It owns what it touches. Throws std::bad_alloc if there is no memory
  // to tell all of them; then none is told.
  void tell_workers(const std::function<void(WorkerThread&)>& task);
  // The same in two steps, the first of which needs the memory.
  using PreparedChange = std::vector<net::EventLoop::Prepared>;  // by worker
  [[nodiscard]] auto prepare_change(const std::function<void(WorkerThread&)>& task) const -> PreparedChange;
  void make_change(PreparedChange change) noexcept;
  template <class T>
  void ask_workers(const Asker& asker, std::function<T(WorkerThread&)> question, std::function<void(Answers<T>)> then);
  void notify();
  void add_shared(Totals& sum) const;  // what all threads know

  [[nodiscard]] auto make_settings(ProxyId id, const ProxySpec& spec) const
      -> std::shared_ptr<const proxy::ProxySettings>;

  const Clock& clock_;
  std::uint64_t seed_;
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
    std::vector<std::string> unix_paths{};  // of its listeners; removed when they close
    // Of its listeners that are nobody else's, while acceptors have them.
    std::vector<std::weak_ptr<const Fd>> listening{};
    std::uint64_t opening = 0;  // the change that opened it
    bool open = false;
  };
  void end_listening(Proxy& proxy) const;
  [[nodiscard]] auto proxy_of(ProxyId id) -> Proxy&;
  std::map<ProxyId, Proxy> proxies_;
  // Of removed proxies, until their last sessions have ended.
  std::vector<std::shared_ptr<proxy::ProxyShared>> removed_;
  std::uint32_t next_id_ = 0;
  struct Observing {
    ObserverId id{};
    std::unique_ptr<ObserverThread> thread;
    std::function<bool(std::string_view)> wants;
    std::function<bool(const proxy::ProxyRules&)> wants_rules;
    bool tells_open = true;
    std::string name;
    std::string reader;
    std::string way_out;
    PreparedChange removal{};  // of its rings
    bool deaf_told = false;
    [[nodiscard]] auto sees(const ProxySpec& proxy) const -> bool {
      return (!wants || wants(proxy.name)) && (!wants_rules || wants_rules(proxy.rules));
    }
  };
  [[nodiscard]] auto proxies_for(const Observing& observing) const -> std::set<ProxyId>;
  [[nodiscard]] auto hold_of(const Observing& observing) const -> ObserverHold;
  std::vector<Observing> observers_;
  std::vector<std::unique_ptr<ObserverThread>> leaving_;  // detached; they take what is left for them
  std::uint32_t next_observer_ = 0;
  std::map<std::string, Nanos> waited_for_gone_;
  bool running_ = false;
  bool is_ending_ = false;  // nothing listens any more

  Fd nowhere_;  // what a listener's descriptor names once it listens no more
  std::uint64_t changes_ = 0;
  std::uint64_t settled_ = 0;
  std::function<void()> on_settled_;
  std::uint64_t closed_ = 0;            // the last change that closed a proxy
  std::vector<net::EventLoop*> loops_;  // of the workers
  Asks asks_;
  std::mutex failed_mutex_;
  std::vector<FailedOpening> failed_openings_;  // told by the loops
};

}  // namespace weir::engine
