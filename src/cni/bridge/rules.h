#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cni/bridge/config.h"
#include "cni/bridge/host_lock.h"
#include "cni/bridge/iptables.h"
#include "cni/kernel/netlink.h"
#include "cni/spec/plugin.h"

namespace weir::cni::bridge {

// The packet filter rules of one attachment, whatever keeps them: masquerade in iptables or nftables, the
// spoof check in nftables.
struct RuleWish {
  std::string network;
  Attachment owner;
  std::vector<Prefix> addresses;  // to masquerade; empty on a network without addresses
  std::string host_veth;
  Mac container_mac{};
};

// Rules being added. iptables' programs run while the caller makes links; finish() waits for them.
class AddingRules {
 public:
  [[nodiscard]] static auto start(const Config& config, const RuleWish& wish) -> Result<AddingRules>;
  [[nodiscard]] auto finish() -> Result<void>;

 private:
  struct Family4or6 {
    Family family;
    NatWish wish;
    Child restore;
  };
  std::vector<Family4or6> running_;
  HostLock lock_;  // while iptables-restore runs
};

// Whether masquerading would be done by iptables; an error if it is asked for and not there.
[[nodiscard]] auto uses_iptables(const Config& config) -> bool;
[[nodiscard]] auto can_masquerade(const Config& config) -> Result<void>;

// Takes away what AddingRules adds, of either backend, as the configuration may have changed since. `own`
// are the attachment's addresses as far as they are known; where none is, all jumps of the container go but
// those whose address another living interface of it has.
struct RuleOwner {
  std::string network;
  Attachment owner;
  std::vector<Ip> own;
};
[[nodiscard]] auto remove_rules(const Config& config, const RuleOwner& owner) -> Result<void>;
// The same in another process, so that it may overlap the deletion of the link.
class RemovingRules {
 public:
  [[nodiscard]] static auto start(const Config& config, const RuleOwner& owner) -> RemovingRules;
  [[nodiscard]] auto finish() -> Result<void>;

 private:
  pid_t pid_ = -1;
  Fd answer_;
  Result<void> done_;
};

// Every rule of this network that belongs to none of `valid`. `leases` says whose an address is.
struct KnownLease {
  Ip ip;
  Attachment owner;
};
[[nodiscard]] auto collect_rules(const std::string& network, const std::vector<Attachment>& valid,
                                 const std::vector<KnownLease>& leases) -> Result<void>;

// CHECK: an error names what is missing.
[[nodiscard]] auto check_rules(const Config& config, const RuleWish& wish) -> Result<void>;

}  // namespace weir::cni::bridge
