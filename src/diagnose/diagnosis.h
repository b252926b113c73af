#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "diagnose/ledger.h"
#include "diagnose/peer_watch.h"
#include "diagnose/session_timeline.h"
#include "diagnose/upstream_window.h"
#include "event/session_key.h"

namespace weir::diagnose {

struct DiagnosisOptions {
  std::string server;                        // how the upstream is called in the report; empty: each by its address
  std::optional<std::uint64_t> exchanges{};  // flush() is false once so many have ended; none: no limit. Not 0
  // For each pause but the client's own; on the observer's thread. Of a pause that a pattern of several sessions may
  // explain (think, not_read, not_accepted) up to a second later, or at the end.
  std::function<void(const ToldVerdict&)> on_verdict{};
  std::function<void(const Exchange&)>
      on_exchange{};  // that has ended, behind its verdicts but those that wait; on the observer's thread
  // When all verdicts that are due have been told; false: no more are wanted. On the observer's thread.
  std::function<bool()> flush{};
  // Has a session acknowledge at once what the next so many reads of this leg take, for a proof; none: nothing is
  // proven that way. On the observer's thread.
  std::function<void(const SessionHandle&, LegName, unsigned reads)> acknowledge_at_once{};
  // Seeks patterns of several sessions, for which verdicts wait; false: each is told at once.
  bool patterns = true;
  // How it looks at the sockets of peers that are on this host, while their exchanges are slow.
  PeerEyes eyes{};
};

// The events that a diagnosis must get, and the rings it reads.
[[nodiscard]] auto required_events() -> event::EventMask;

// An exchange that is open, and who holds it.
struct HeldExchange {
  ProxyId proxy{};
  SessionNumber session{};
  std::uint64_t exchange = 0;  // 0: the session is not connected yet
  std::optional<Address> client;
  std::optional<Address> upstream;
  MonoTime begin{};
  std::array<std::uint64_t, 2> bytes{};  // by Direction
  Segment segment{};                     // what goes on
  Side side{};                           // whose time that is
  std::string who;
  Nanos held{};                        // for so long nothing has come or gone that it waits for
  std::optional<ToldVerdict> verdict;  // of its longest pause so far, which may last; none: there was none, or nobody
                                       // can say yet. Of one that lasts nothing is more than likely
};

// An observer that judges every pause of every session and adds it up. report() may be called from any thread.
class Diagnosis final : public event::Observer {
 public:
  explicit Diagnosis(DiagnosisOptions options);
  ~Diagnosis() override;

  void on_event(const event::Event& event, Nanos wall_offset) override;
  [[nodiscard]] auto flush() -> bool override;
  [[nodiscard]] auto flush_due() const -> std::optional<Nanos> override;
  void on_end() override;

  [[nodiscard]] auto report() const -> Report;
  // Those that are open at `now`, in no order. Any thread, as the two below.
  [[nodiscard]] auto open_exchanges(MonoTime now) const -> std::vector<HeldExchange>;
  [[nodiscard]] auto losses() const -> std::vector<Loss>;
  [[nodiscard]] auto exchange_times() const -> ExchangeTimes;
  // How the upstream is called in the sessions that are seen from now on. Any thread.
  void set_server(std::string server);

 private:
  class Session;
  using Key = event::SessionKey;
  using KeyHash = event::SessionKeyHash;

  void look_at_slow(MonoTime now);
  auto window_of(ProxyId proxy, const std::string& upstream) -> UpstreamWindow*;
  void settle(UpstreamWindow& window, MonoTime now);
  void tell(const ToldVerdict& told);
  [[nodiscard]] auto report_of_ended() const -> Report;

  DiagnosisOptions options_;
  PeerWatch watch_;  // of the observer's thread alone, as is what follows
  LookBudget look_budget_;
  std::unordered_map<ProxyId, Address> upstreams_;                                      // that were reached last
  std::map<std::pair<ProxyId, std::string>, std::unique_ptr<UpstreamWindow>> windows_;  // a capture has many upstreams
  mutable std::mutex mutex_;
  Ledger ledger_;
  std::unordered_map<Key, std::unique_ptr<Session>, KeyHash> sessions_;  // those that live
  std::unordered_map<std::string, unsigned> singles_;  // by client: sessions in a row that had a single request
};

}  // namespace weir::diagnose
