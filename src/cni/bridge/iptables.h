#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/bridge/host_lock.h"
#include "cni/kernel/netlink.h"
#include "cni/spec/child.h"
#include "cni/spec/error.h"
#include "cni/spec/ip.h"
#include "cni/spec/plugin.h"

namespace weir::cni::bridge {

// The nat table through iptables' own programs, because it belongs to them: one `iptables-restore --noflush
// --wait` for a change, one `iptables-save -t nat` to look. A restore without --noflush would empty the
// table, and a ":CHAIN" line empties that chain if it is there, so neither is ever written.

enum class Family { v4, v6 };

// The addresses of one attachment of one family whose packets are to be masqueraded.
struct NatWish {
  std::string network;
  std::string container;
  std::vector<Prefix> addresses;
};

// A rule as iptables-save prints it.
struct NatRule {
  std::string line;  // whole, "-A CHAIN ..."
  std::string chain;
  std::string jump;     // -j
  std::string comment;  // --comment, unquoted
  std::optional<Prefix> source;
};
struct NatTable {
  std::vector<std::string> chains;
  std::vector<NatRule> rules;
  [[nodiscard]] auto has_chain(std::string_view name) const -> bool;
};
[[nodiscard]] auto parse_nat(std::string_view save) -> NatTable;

// network and container of a comment that iptables_comment (names.h) could have written.
struct NatOwner {
  std::string network;
  std::string container;
};
[[nodiscard]] auto parse_nat_comment(std::string_view comment) -> std::optional<NatOwner>;

// Input for iptables-restore. The first makes the chain (and is refused if it is there), the second adds
// what `now` lacks; "" if it lacks nothing.
[[nodiscard]] auto first_nat_input(const NatWish& wish) -> std::string;
[[nodiscard]] auto missing_nat_input(const NatWish& wish, const NatTable& now) -> std::string;
// Takes the jumps from POSTROUTING away for which `goes` is true, and then every chain of theirs, and of
// the owners that `goes` names without a source, that nothing jumps to any more. "" if there is nothing.
using Goes = std::function<bool(const NatOwner& owner, const std::optional<Prefix>& source)>;
[[nodiscard]] auto removal_nat_input(const NatTable& now, const Goes& goes) -> std::string;

// The path of iptables-restore, iptables-save and their IPv6 twins: in PATH, /usr/sbin or /sbin.
[[nodiscard]] auto find_program(std::string_view name) -> std::optional<std::string>;
[[nodiscard]] auto has_iptables(Family family) -> bool;
// The program keeps `lock` for as long as it runs.
[[nodiscard]] auto start_restore(Family family, std::string input, const HostLock& lock) -> Result<Child>;
[[nodiscard]] auto start_save(Family family) -> Result<Child>;

// Adds the rules; `started` is the restore of first_nat_input. Where the chain was there, what is missing
// is added to it.
[[nodiscard]] auto finish_addition(Family family, const NatWish& wish, Child started, const HostLock& lock)
    -> Result<void>;
[[nodiscard]] auto read_nat(Family family) -> Result<NatTable>;

// Rules being removed, in four steps, so that the caller has time for other things while programs run:
// start() lets them list the table, change() lets them delete what `goes` names, settle() waits until that
// has taken effect, finish() until they have ended.
class RemovingNat {
 public:
  [[nodiscard]] static auto start(const std::vector<Family>& families) -> Result<RemovingNat>;
  [[nodiscard]] auto change(Goes goes) -> Result<void>;
  auto settle() -> void;
  [[nodiscard]] auto finish() -> Result<void>;

 private:
  struct Running {
    Family family;
    Child child;
  };
  auto wait_for_commits() -> void;

  Goes goes_;
  std::vector<Running> saves_;
  HostLock lock_;  // from change() until the kernel has taken the changes
  std::optional<NetlinkSocket> commits_;
  std::vector<Running> restores_;
};

}  // namespace weir::cni::bridge
