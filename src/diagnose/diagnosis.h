#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "diagnose/ledger.h"
#include "diagnose/peer_watch.h"
#include "diagnose/session_timeline.h"
#include "event/session_key.h"

namespace weir::diagnose {

struct DiagnosisOptions {
  std::string server;                        // how the upstream is called in the report; empty: each by its address
  std::optional<std::uint64_t> exchanges{};  // flush() is false once so many have ended; none: no limit. Not 0
  // For each pause but the client's own; on the observer's thread.
  std::function<void(const ToldVerdict&)> on_verdict{};
  // When all verdicts that are due have been told; false: no more are wanted. On the observer's thread.
  std::function<bool()> flush{};
  // Has a session acknowledge at once what the next so many reads of this leg take, for a proof; none: nothing is
  // proven that way. On the observer's thread.
  std::function<void(const SessionHandle&, LegName, unsigned reads)> acknowledge_at_once{};
  // How it looks at the sockets of peers that are on this host, while their exchanges are slow.
  PeerEyes eyes{};
};

// The events that a diagnosis must get, and the rings it reads.
[[nodiscard]] auto required_events() -> event::EventMask;

// An observer that judges every pause of every session and adds it up. report() may be called from any thread.
class Diagnosis final : public event::Observer {
 public:
  explicit Diagnosis(DiagnosisOptions options);
  ~Diagnosis() override;

  void on_event(const event::Event& event, Nanos wall_offset) override;
  [[nodiscard]] auto flush() -> bool override;
  [[nodiscard]] auto flush_due() const -> std::optional<Nanos> override;

  [[nodiscard]] auto report() const -> Report;

 private:
  class Session;
  using Key = event::SessionKey;
  using KeyHash = event::SessionKeyHash;

  void look_at_slow();

  DiagnosisOptions options_;
  PeerWatch watch_;  // of the observer's thread alone, as is what follows
  LookBudget look_budget_;
  std::unordered_map<ProxyId, Address> upstreams_;  // that were reached last
  mutable std::mutex mutex_;
  Ledger ledger_;
  std::unordered_map<Key, std::unique_ptr<Session>, KeyHash> sessions_;  // those that live
};

}  // namespace weir::diagnose
