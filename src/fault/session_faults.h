#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fault/catalog.h"
#include "fault/chain.h"
#include "fault/fault_list.h"
#include "fault/proxy_faults.h"

namespace weir::fault {

// Whose faults: what a session is, as far as it decides which faults apply and what they draw.
struct SessionKey {
  SessionNumber number{};
  const Address& client;
  MonoTime accepted{};
};

// Which faults apply to one session, and their state. Owned by the session, made when the first fault
// applies; outlives the chains of its directions. On the worker's thread.
class SessionFaults {
 public:
  // `on_began` may be empty. It is called in the middle of a chunk: it must not touch the session.
  explicit SessionFaults(ProxyFaults& proxy, OnBegan on_began = nullptr)
      : proxy_(proxy), on_began_(std::move(on_began)) {}

  struct Change {
    std::vector<SessionFault*> changed;
    // Keep them until both chains have been set.
    std::vector<std::unique_ptr<SessionFault>> gone;
    Framings framings_gone;
  };
  // Chooses from the list anew.
  [[nodiscard]] auto choose(const FaultList& list, const SessionKey& key) -> Change;
  // Those of a direction, in the list's order.
  [[nodiscard]] auto in(Direction direction) const -> std::vector<SessionFault*>;
  // The framers that they go by, for the chains of both directions; at the same place for ever.
  [[nodiscard]] auto framings() const -> const Framings& { return framings_; }
  // That came into force in this session so far, by name.
  [[nodiscard]] auto names() const -> std::vector<std::string>;

 private:
  ProxyFaults& proxy_;
  OnBegan on_began_;
  void choose_framings(Change& change);

  std::vector<std::unique_ptr<SessionFault>> faults_;
  Framings framings_;
};

// Does any stream fault of the list apply to the session?
[[nodiscard]] auto any_applies(const FaultList& list, const ProxyFaults& proxy, const SessionKey& key) -> bool;

// What the accept or the connect faults of a list do to a session.
struct PhaseFault {
  bool refuse = false;
  Nanos delay{};
  std::string name;  // of the fault that refuses
};
[[nodiscard]] auto phase_fault(const FaultList& list, FaultPhase phase, const ProxyFaults& proxy, const SessionKey& key)
    -> PhaseFault;
// Counts the session for each of them that applies, and tells of it.
void count_phase(const FaultList& list, FaultPhase phase, ProxyFaults& proxy, const SessionKey& key,
                 const std::function<void(const FaultSpec&)>& tell = nullptr);

}  // namespace weir::fault
