#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/out_of_memory.h"
#include "fault/session_faults.h"
#include "net/descriptors.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "proxy/leg_end.h"
#include "proxy/opening.h"
#include "proxy/relay.h"
#include "proxy/settings.h"

namespace weir::proxy {

class Worker;
struct ProxyOnWorker;

using SocketRelay = Relay<LegEnd, LegEnd>;

// One accepted client connection with its upstream connection, from accept to last close.
//
//   accepted -> handshake -> resolving -> connecting -> handshake -> relaying -> closing
//   '------------------------ opening.h -----------------------'     relay.h
//
// It carries out what its Opening asks for with the loop and sockets, and then hosts its Relay. Owned by its
// Worker, lives on the worker's loop, is freed at the end of the turn in which it ended.
// Where memory runs out in one of its steps it ends with cause `resources`, and nobody else does.
enum class SessionPhase : std::uint8_t { accepted, handshake, resolving, connecting, relaying, closing };

class Session final : public net::Disposable, private net::Timer, private net::Alarm, private net::Rerun {
 public:
  Session(Worker& worker, ProxyOnWorker& proxy, Fd client, Address client_address, SessionNumber number);
  ~Session() override;
  Session(const Session&) = delete;
  auto operator=(const Session&) -> Session& = delete;

  // Starts the first phase; may end the session at once.
  void begin();
  // Ends it from outside (a second signal, the drain time): RST on both legs.
  void end(const event::CloseCause& cause, const std::string& detail);
  // Ends it from outside with FIN on both legs (its proxy was disabled, or it was asked for).
  void close(const std::string& detail);
  // An observer's ring has room again.
  void resume();
  // A ring has come to the proxy's observers, or gone.
  void observers_changed();
  // An observer asks for the kernel's counters; told to all that want them, if bytes may flow.
  void tell_counters();
  // An observer asks for a proof: see LegEnd::acknowledge_at_once.
  void acknowledge_at_once(LegName leg, unsigned reads);
  // `ring` has just come: tells it what it has missed of this session.
  void tell_newcomer(event::EventRing& ring) const;
  // The proxy has another list of faults. What they release is sent `at_once`, as much as a turn allows, or when the
  // session's turn comes.
  void faults_changed(bool at_once);
  // Its own settings, with what its proxy's new ones change in open sessions.
  void settings_changed(std::shared_ptr<const ProxySettings> settings);

  [[nodiscard]] auto phase() const -> SessionPhase;
  // What it runs under: those that its proxy had when it was accepted, but for settings_changed().
  [[nodiscard]] auto settings() const -> const std::shared_ptr<const ProxySettings>& { return settings_; }
  [[nodiscard]] auto handle() const -> SessionHandle;
  [[nodiscard]] auto number() const -> SessionNumber { return events().session(); }
  [[nodiscard]] auto proxy() const -> ProxyOnWorker& { return proxy_; }
  [[nodiscard]] auto client_address() const -> const Address& { return client_address_; }
  // Of relaying sessions; while connecting, the address tried now.
  [[nodiscard]] auto upstream_address() const -> const Address& { return upstream_address_; }
  [[nodiscard]] auto accepted() const -> MonoTime { return accepted_; }
  [[nodiscard]] auto relay() const -> const SocketRelay& { return relay_; }
  // Names of the faults that came into force in it so far.
  [[nodiscard]] auto fault_names() const -> std::vector<std::string>;
  [[nodiscard]] auto watchdog_trips() const -> unsigned { return relay_.watchdog_trips(); }

 private:
  friend class Worker;

  // One per leg, so that the loop's event finds its leg without a lookup.
  class LegWatch final : public net::ReadyHandler {
   public:
    LegWatch(Session& session, LegName leg) : session_(session), leg_(leg) {}
    void on_ready(std::uint32_t events) override {
      session_.guarded([&] { session_.on_leg_ready(leg_, events); });
    }
    [[nodiscard]] auto session() const -> Session& { return session_; }

   private:
    Session& session_;  // first: in another order each watch is 8 bytes larger

   public:
    net::WatchToken token;
    bool watched = false;

   private:
    LegName leg_;
  };

  // Until the relay starts, and not an instant longer.
  struct OpeningRun {
    OpeningRun(Accepted accepted, const OpeningRules& rules) : machine(std::move(accepted), rules) {}
    Opening machine;
    std::uint64_t lookup_ticket = 0;  // 0: no lookup is under way
    MonoTime lookup_since{};
    bool listener_is_full = false;          // the attempt waits for a place in a Unix listener's queue
    std::optional<MonoTime> attempt_since;  // none: none is under way
    std::optional<Address> attempt_from;    // the source address that was asked for
    std::optional<net::PromisedDescriptor> upstream{std::in_place};  // until the connection has one
  };

  [[nodiscard]] auto events() const -> const event::SessionEvents& { return relay_.events(); }

  // Runs one of its steps, from an entry that others call: none of ours calls another that has one and goes on after
  // it, for the session may have ended in it.
  template <class Step>
  void guarded(Step step) {
    if (!contained(step)) end_for_memory();
  }
  void end_for_memory();

  void on_leg_ready(LegName leg, std::uint32_t events);
  void on_timer() override;
  void on_alarm() override;
  void on_rerun() override;

  // --- session_faults.cpp ---
  [[nodiscard]] auto fault_key() const -> fault::SessionKey { return {number(), client_address_, accepted_}; }
  void tell_of(const fault::FaultSpec& spec) const;
  void apply_faults();

  // --- session_opening.cpp ---
  [[nodiscard]] auto opening_rules() const -> OpeningRules;
  void carry_on_opening();
  void carry_out(const Opening::Resolve& what);
  void carry_out(const Opening::Connect& what);
  void carry_out(const Opening::FaultApplies& what);
  void carry_out(const Opening::Fail& what);
  void carry_out(const Opening::Done& what);
  void begin_opening();
  void on_resolved(const Result<net::Addresses>& answer);
  void on_lookup_answered(const Result<net::Addresses>& answer) {
    guarded([&] { on_resolved(answer); });
  }
  void on_ready_in_opening(LegName leg, std::uint32_t events);
  void on_time_in_opening();
  void check_connect();
  void drop_attempt();
  void show_client(const Address& client);
  // --- session_events.cpp ---
  void tell_accepted() const;
  void tell_resolved(const Result<net::Addresses>& answer) const;
  void tell_attempt(int error);
  void tell_opened(Nanos connect_time);
  void tell_closed(std::string detail, bool reached) const;
  [[nodiscard]] auto opened(Nanos connect_time) const -> std::shared_ptr<const event::SessionOpened>;
  [[nodiscard]] auto leg_addresses() const -> std::shared_ptr<const event::LegsConnected>;
  [[nodiscard]] auto read_for_handshake(LegName name) -> bool;
  void send_for_handshake();

  void relay_again();
  void take_settings(std::shared_ptr<const ProxySettings> settings);
  void settle();
  void finish(std::string detail);
  [[nodiscard]] auto watch(LegWatch& watch, int fd) -> bool;
  [[nodiscard]] auto age_cause(event::CloseReason reason, std::optional<LegName> leg = std::nullopt) const
      -> event::CloseCause;
  [[nodiscard]] auto now() const -> MonoTime;         // the loop's, one for all of a turn
  [[nodiscard]] auto clock_time() const -> MonoTime;  // for events: never before that of a chunk that was told

  Worker& worker_;
  ProxyOnWorker& proxy_;
  std::shared_ptr<const ProxySettings> settings_;  // before relay_, which uses its timeouts
  SessionPhase phase_ = SessionPhase::accepted;    // once there is no opening any more
  bool parked_listed_ = false;
  bool is_held_up_ = false;  // the worker knows by whom
  // Accept to connected, for observers that come later; of what is longer, the most that fits.
  std::chrono::duration<std::uint32_t, std::micro> connect_time_{};
  MonoTime accepted_;
  MonoTime timer_at_{};  // what the wheel is set to; max(): nothing
  LegWatch client_watch_;
  LegWatch server_watch_;
  Address client_address_;
  Address upstream_address_;
  std::unique_ptr<OpeningRun> opening_;           // null once the relay has started, or the session has ended
  std::unique_ptr<fault::SessionFaults> faults_;  // null until one applies; before relay_, whose stages use it
  SocketRelay relay_;
  Session* next_ = nullptr;  // the worker's list
  Session* previous_ = nullptr;
};

// All that a session owns when idle is this object: no buffer, no pipe, no setup. (A Unix path
// longer than 15 bytes is the one exception.) The next size that malloc(3) hands out after 760 is 776.
static_assert(sizeof(Session) <= 760);

}  // namespace weir::proxy
