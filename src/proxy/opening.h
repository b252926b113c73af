#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/upstream_address.h"
#include "fault/fault_list.h"
#include "fault/proxy_faults.h"
#include "fault/session_faults.h"
#include "net/resolver.h"
#include "proxy/handshake.h"
#include "proxy/settings.h"

namespace weir::proxy {

// What a session in its opening goes by. The objects stay until rules_changed() or the opening's end.
struct OpeningRules {
  const ProxySettings* settings;
  const fault::FaultList* faults = nullptr;   // null: none
  fault::ProxyFaults* fault_state = nullptr;  // null only without faults
};

// What came of a Connect.
struct ConnectOutcome {
  enum class Kind : std::uint8_t { connected, in_progress, failed };
  Kind kind = Kind::connected;
  int error = 0;     // errno, if failed; EAGAIN: a Unix listener's queue is full
  std::string text;  // with the address, if failed
};

// A session from accept until its upstream is reached and nothing stands before its stream. Sans-io: it is
// told what happened and when, and asked what to do. Its session carries that out with sockets, on the
// worker's thread, and frees it when the relay starts.
//
//   accepted --> handshake --> resolving --> connecting --> handshake --> over: Done
//       |            |             |              |             |
//       '------------'-------------'--------------'-------------'-------> over: Fail
//
// accepted: passed at once unless a fault delays it. handshake: before and behind the upstream, if the proxy
// has one. resolving: if the upstream is a name. connecting: each address in turn; a fault may delay the
// first one.
enum class OpeningPhase : std::uint8_t { accepted, handshake, resolving, connecting, over };

class Opening final : private HandshakeContext {
 public:
  Opening(Accepted accepted, const OpeningRules& rules);
  ~Opening();
  Opening(const Opening&) = delete;
  auto operator=(const Opening&) -> Opening& = delete;

  // --- what happened ---
  void begin(MonoTime now);
  void rules_changed(const OpeningRules& rules, MonoTime now);
  // Of a leg that reads() says yes to; at most room() bytes.
  void on_bytes(LegName from, std::span<const std::byte> bytes, MonoTime now);
  void on_end(LegName from, MonoTime now);  // FIN
  // A leg is gone: reset, or another error of its connection.
  void on_break(LegName leg, MonoTime now);
  // The first so many bytes of to_send() were taken by the leg's kernel.
  void on_sent(LegName to, std::size_t bytes, MonoTime now);
  void on_resolved(const Result<net::Addresses>& answer, MonoTime now);
  // For the last Connect: at once, and again when one that was in progress has come to its end.
  void on_connect(const ConnectOutcome& outcome, MonoTime now);
  // At or after timeout_at() or alarm_at().
  void on_time(MonoTime now);

  // --- what to do: ask after every call ---
  struct Resolve {
    UpstreamAddress::Name name;
  };
  // An attempt that is still under way is given up for this one.
  struct Connect {
    ServerAddress to;
    std::optional<SourceAddress> from;
  };
  struct FaultApplies {
    const fault::FaultSpec* fault;
  };
  // The legs are closed: with RST, or with FIN behind what is to be sent.
  struct Fail {
    event::CloseCause cause;
    std::string detail;
    bool reset = true;
    bool of_upstream = true;  // it counts as a failed connect
  };
  // The relay starts. Bytes of the stream that were read already, by leg.
  struct Done {
    std::array<std::vector<std::byte>, 2> read;
  };
  using Command = std::variant<Resolve, Connect, FaultApplies, Fail, Done>;
  [[nodiscard]] auto next_command() -> std::optional<Command>;
  // What the leg gets next; stays until on_sent().
  [[nodiscard]] auto to_send(LegName to) const -> std::span<const std::byte> { return outbox_[index(to)]; }
  [[nodiscard]] auto reads(LegName from) const -> bool;
  [[nodiscard]] auto room(LegName from) const -> std::size_t { return Handshake::limit - inbox_[index(from)].size(); }
  // When a timeout runs out, and when something else is due, to the nanosecond; MonoTime::max(): never.
  [[nodiscard]] auto timeout_at() const -> MonoTime;
  [[nodiscard]] auto alarm_at() const -> MonoTime { return phase_ == OpeningPhase::over ? never : alarm_at_; }

  [[nodiscard]] auto phase() const -> OpeningPhase { return phase_; }
  [[nodiscard]] auto client() const -> const ClientAddress& { return client_; }
  // Tried last; none before the first Connect.
  [[nodiscard]] auto server() const -> const std::optional<ServerAddress>& { return server_; }

 private:
  static constexpr MonoTime never = MonoTime::max();

  struct Clock {
    event::TimeoutName name;
    MonoTime since;
  };

  // --- HandshakeContext ---
  [[nodiscard]] auto now() const -> MonoTime override { return now_; }
  [[nodiscard]] auto accepted() const -> const Accepted& override { return accepted_; }
  [[nodiscard]] auto bytes(LegName from) const -> std::span<const std::byte> override { return inbox_[index(from)]; }
  void consume(LegName from, std::size_t bytes) override;
  void send(LegName to, std::span<const std::byte> bytes) override;
  void show_client(ClientAddress client) override { client_ = std::move(client); }
  void connect(std::optional<UpstreamTarget> target, std::optional<SourceAddress> source) override;
  void wait(event::TimeoutName clock, MonoTime since) override { handshake_clock_ = Clock{clock, since}; }
  void stop_waiting() override { handshake_clock_.reset(); }
  void fail(event::CloseReason reason, std::optional<LegName> leg, std::string detail) override;
  void done() override;

  void after_accept();
  void after_handshake_call();
  void start_connecting(net::Addresses addresses);
  void connect_next();
  void connected();
  void attempt_in_progress();
  void attempt_failed(int error, const std::string& why);
  void all_attempts_failed();
  void listener_is_full();
  void done_when_all_is_sent();
  // True: the phase's faults have the session wait, or have ended it. `since`: what a delay counts from.
  [[nodiscard]] auto held_by_fault(fault::FaultPhase phase, MonoTime since) -> bool;
  void go_on_after_fault();
  void refuse(const std::string& fault);
  void time_out();
  void fail_with(event::CloseCause cause, std::string detail);
  [[nodiscard]] auto fault_key() const -> fault::SessionKey {
    return {accepted_.number, client_.address, accepted_.time};
  }
  [[nodiscard]] auto timeouts() const -> const Timeouts& { return rules_.settings->rules.timeouts; }
  [[nodiscard]] auto runs_out_at(event::TimeoutName name, MonoTime since) const -> MonoTime;
  [[nodiscard]] auto runs_out_at(const std::optional<Clock>& clock) const -> MonoTime {
    return clock ? runs_out_at(clock->name, clock->since) : never;
  }
  [[nodiscard]] auto timed_out(event::TimeoutName name) const -> event::CloseCause;
  [[nodiscard]] auto age_cause(event::CloseReason reason, std::optional<LegName> leg = std::nullopt) const
      -> event::CloseCause;
  [[nodiscard]] auto no_answer() const -> std::string;

  OpeningRules rules_;
  Accepted accepted_;
  MonoTime now_{};
  OpeningPhase phase_ = OpeningPhase::accepted;
  std::vector<const fault::FaultSpec*> faults_to_tell_;
  std::optional<Command> command_;

  std::unique_ptr<Handshake> handshake_;  // null: none, or done
  std::optional<Clock> handshake_clock_;
  std::array<std::vector<std::byte>, 2> inbox_;   // by leg: read, not consumed
  std::array<std::vector<std::byte>, 2> outbox_;  // by leg: to be sent
  std::array<bool, 2> ended_{};                   // by leg: FIN was read
  ClientAddress client_;
  bool client_was_told_ = false;  // something was sent to it
  bool upstream_chosen_ = false;
  bool connected_ = false;
  bool handshake_done_ = false;

  std::optional<Clock> clock_;  // of resolving, or of all of connecting
  std::optional<SourceAddress> source_;
  net::Addresses addresses_;
  std::size_t next_address_ = 0;  // or the one that is tried
  std::optional<ServerAddress> server_;
  MonoTime attempt_until_ = never;
  Nanos attempt_wait_{};
  Nanos retry_step_{};  // a full Unix listener is asked again after 1, 2, 4 ... 128 ms; 0: it was not full
  MonoTime alarm_at_ = never;
  std::optional<MonoTime> fault_since_;  // a fault has the session wait, by a delay that counts from here
  int last_error_ = 0;
  bool last_attempt_timed_out_ = false;
  std::string failures_;
};

}  // namespace weir::proxy
