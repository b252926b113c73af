#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cni/bridge/config.h"
#include "cni/bridge/host_lock.h"
#include "cni/bridge/iptables.h"
#include "cni/bridge/nft_removal.h"
#include "cni/kernel/netlink_socket.h"
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

// Rules being added. iptables' programs run while the caller makes links; finish() waits for them. Where the
// configuration leaves the choice and they cannot do it (no nat table in x_tables, say), nf_tables does.
class AddingRules {
 public:
  [[nodiscard]] static auto start(const Config& config, const RuleWish& wish) -> Result<AddingRules>;
  [[nodiscard]] auto finish() -> Result<void>;

 private:
  [[nodiscard]] auto by_nftables_instead(const NatWish& wish) const -> bool;

  bool may_choose_ = false;
  Attachment owner_;
  struct Family4or6 {
    Family family;
    NatWish wish;
    Child restore;
  };
  HostLock lock_;  // while iptables-restore runs
  std::vector<Family4or6> running_;
};

// Whether masquerading would be done by iptables; an error if it is asked for and not there.
[[nodiscard]] auto uses_iptables(const Config& config) -> bool;
[[nodiscard]] auto can_masquerade(const Config& config) -> Result<void>;

// Rules that have been taken away: all of an attachment's, or a network's stale ones, of either backend, whatever the
// configuration says by now: it may have changed since from one to the other, or to none at all. Where the outcome is
// good nothing filters or masquerades any more. The object is to live while there are links to delete, because the
// kernel is still waiting for the memory of the rules then, and its owner would wait with it for some 15 ms
// (NftRemoval).
class RemovedRules {
 public:
  // Removes what AddingRules adds, and has added in earlier ADDs of the attachment for other addresses. `own` are its
  // addresses as far as they are known. iptables' rules name the container and no interface: of its jumps from one
  // address all go but those about `others`, the addresses of its other interfaces, which is called if there is any
  // that is not about `own`.
  struct Subject {
    std::string network;
    Attachment attachment;
    std::vector<Ip> own;
    std::function<Result<std::vector<Ip>>()> others;
  };
  [[nodiscard]] static auto remove_of(const Subject& subject) -> RemovedRules;

  // Removes every rule of this network that belongs to none of `valid`. `leases` says whose an address is.
  struct KnownLease {
    Ip ip;
    Attachment owner;
  };
  [[nodiscard]] static auto remove_stale(const std::string& network, const std::vector<Attachment>& valid,
                                         const std::vector<KnownLease>& leases) -> RemovedRules;

  [[nodiscard]] auto outcome() const -> const Result<void>& { return outcome_; }
  [[nodiscard]] auto any() const -> bool { return any_; }  // were there
  // What conntrack knows of `addresses` goes too; best when their link is gone and can begin nothing new.
  auto forget(const std::vector<Ip>& addresses) -> void;

 private:
  auto remove(const NftRemoval& removal) -> void;

  std::optional<NetlinkSocket> socket_;
  Result<void> outcome_;
  bool any_ = false;
};

// CHECK: an error names what is missing.
[[nodiscard]] auto check_rules(const Config& config, const RuleWish& wish) -> Result<void>;

}  // namespace weir::cni::bridge
