#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/ids.h"
#include "base/seeded_random.h"
#include "fault/fault_list.h"
#include "fault/seat.h"

namespace weir::fault {

// How often a fault applied; since the proxy began, through all changes of the fault.
struct FaultCounters {
  std::atomic<std::uint64_t> sessions{0};       // in which it was in force
  std::atomic<std::uint64_t> bytes_dropped{0};  // taken in and never released
};

// What the workers of one proxy share of its faults: the seed, the states of scopes wider than a
// session, and counters. The engine owns it. Any thread; its lock is taken when a fault comes into a
// session's path, never for a chunk.
class ProxyFaults {
 public:
  ProxyFaults(std::uint64_t seed, std::string proxy) : seed_(seed), proxy_(std::move(proxy)) {}

  [[nodiscard]] auto seed() const -> std::uint64_t { return seed_; }
  // The draw in [0, 1) that decides whether the fault applies to a session: it does iff it is less than
  // the probability. The same for all that share the fault's scope.
  [[nodiscard]] auto lot(const FaultSpec& spec, SessionNumber session, const Address& client) const -> double;
  [[nodiscard]] auto applies(const FaultSpec& spec, SessionNumber session, const Address& client) const -> bool;
  // What a stage draws from.
  [[nodiscard]] auto draws(const FaultSpec& spec, SessionNumber session, Direction direction) const -> Draws;

  // The state that a fault with a scope wider than a session shares.
  [[nodiscard]] auto shared_state(const FaultSpec& spec, const Address& client) -> std::shared_ptr<SharedState>;
  [[nodiscard]] auto counters(const FaultSpec& spec) -> std::shared_ptr<FaultCounters>;

  struct Count {
    std::string fault;
    std::uint64_t sessions = 0;
    std::uint64_t bytes_dropped = 0;
  };
  // In which the fault was in force; 0: it never was.
  [[nodiscard]] auto sessions(std::string_view fault) const -> std::uint64_t;
  // By name.
  [[nodiscard]] auto counts() const -> std::vector<Count>;
  // The faults that there are from now on.
  void expect(std::shared_ptr<const FaultList> list);
  // Forgets the shared states of faults that are not among them, and what was counted of those of them that no
  // session has: all but the first `gone_counted` names.
  void forget_the_gone();
  static constexpr std::size_t gone_counted = 256;

  // Client addresses remembered for scope = client; beyond it those that no session uses are forgotten.
  static constexpr std::size_t clients_remembered = 65536;

 private:
  std::uint64_t seed_;
  std::string proxy_;
  mutable std::mutex mutex_;
  std::shared_ptr<const FaultList> newest_ = std::make_shared<FaultList>();
  std::map<std::pair<std::string, std::string>, std::shared_ptr<SharedState>> states_;  // by fault and client
  std::map<std::string, std::shared_ptr<FaultCounters>, std::less<>> counters_;
};

}  // namespace weir::fault
