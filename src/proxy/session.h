#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fault/session_faults.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "proxy/relay.h"
#include "proxy/settings.h"
#include "proxy/socket_end.h"

namespace weir::proxy {

class Worker;
struct ProxyOnWorker;

using SocketRelay = Relay<SocketEnd, SocketEnd>;

// One accepted client connection with its upstream connection, from accept to last close.
//
//   accepted -> preface -> resolving -> connecting -> relaying -> closing
//                  |           |            |            '--------- relay.h: how it ends
//                  '-----------'------------'--> closed: the client gets RST or FIN, the cause is told
//
// preface is passed over when the proxy has none, resolving when the upstream is an address. Owned
// by its Worker, lives on the worker's loop, is freed at the end of the turn in which it ended.
enum class SessionPhase : std::uint8_t { accepted, preface, resolving, connecting, relaying, closing };

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
  // The proxy has another list of faults.
  void faults_changed();
  // Its own settings, with what its proxy's new ones change in open sessions.
  void settings_changed(std::shared_ptr<const ProxySettings> settings);

  [[nodiscard]] auto phase() const -> SessionPhase { return phase_; }
  // What it runs under: those that its proxy had when it was accepted, but for settings_changed().
  [[nodiscard]] auto settings() const -> const std::shared_ptr<const ProxySettings>& { return settings_; }
  [[nodiscard]] auto number() const -> SessionNumber { return number_; }
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
    void on_ready(std::uint32_t events) override { session_.on_leg_ready(leg_, events); }
    net::WatchToken token;
    bool watched = false;

   private:
    Session& session_;
    LegName leg_;
  };

  // What is needed until the upstream is reached, and not an instant longer.
  struct Setup {
    std::unique_ptr<Preface> preface;
    std::vector<std::byte> preface_bytes;
    std::uint64_t lookup_ticket = 0;
    net::Addresses addresses;
    std::size_t next_address = 0;
    MonoTime phase_deadline{};    // of resolving, or of all of connecting; max(): none
    MonoTime attempt_deadline{};  // max(): none
    Nanos attempt_wait{};
    Nanos retry_step{};  // a full Unix listener is asked again after 1, 2, 4 ... 128 ms; 0: it was not full
    // A fault has the session wait: from a moment that its delay counts from, until another.
    std::optional<MonoTime> fault_since;
    MonoTime fault_until{};
    int last_error = 0;
    bool last_attempt_timed_out = false;
    std::string failures;
  };

  void on_leg_ready(LegName leg, std::uint32_t events);
  void on_timer() override;
  void on_alarm() override;
  void on_rerun() override;

  // --- session_faults.cpp ---
  [[nodiscard]] auto fault_key() const -> fault::SessionKey { return {number_, client_address_, accepted_}; }
  // True: the phase's fault has the session wait, or has ended it. `since`: what a delay counts from.
  [[nodiscard]] auto held_by_fault(fault::FaultPhase phase, MonoTime since) -> bool;
  void go_on_after_fault();
  void refuse(const std::string& fault);
  [[nodiscard]] auto tells_of_faults() const -> bool;
  void tell_of(const fault::FaultSpec& spec, MonoTime when);
  void apply_faults();

  void after_accept();
  void read_preface();
  void choose_upstream();
  void on_resolved(const Result<net::Addresses>& answer);
  void start_connecting(net::Addresses addresses);
  void connect_next();
  void check_connect();
  void drop_attempt();
  void attempt_failed(int error, const std::string& why);
  void attempt_in_progress();
  void connected();
  void settle();
  void arm_setup_timer();
  void on_setup_timer();
  void fail(event::CloseCause cause, std::string detail);
  void connect_failed();
  void finish(std::string detail);
  [[nodiscard]] auto watch(LegWatch& watch, int fd) -> bool;
  [[nodiscard]] auto age_cause(event::CloseReason reason, std::optional<LegName> leg = std::nullopt) const
      -> event::CloseCause;
  [[nodiscard]] auto now() const -> MonoTime;

  Worker& worker_;
  ProxyOnWorker& proxy_;
  std::shared_ptr<const ProxySettings> settings_;  // before relay_, which uses its timeouts
  SessionNumber number_;
  SessionPhase phase_ = SessionPhase::accepted;
  bool parked_listed_ = false;
  MonoTime accepted_;
  MonoTime timer_at_{};  // what the wheel is set to; max(): nothing
  LegWatch client_watch_;
  LegWatch server_watch_;
  Address client_address_;
  Address upstream_address_;
  std::unique_ptr<Setup> setup_;
  std::unique_ptr<fault::SessionFaults> faults_;  // null until one applies; before relay_, whose stages use it
  SocketRelay relay_;
  Session* next_ = nullptr;  // the worker's list
  Session* previous_ = nullptr;
};

// All that a session owns when idle is this object: no buffer, no pipe, no setup. (A Unix path
// longer than 15 bytes is the one exception.)
static_assert(sizeof(Session) <= 768);

}  // namespace weir::proxy
