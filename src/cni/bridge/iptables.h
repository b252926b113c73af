#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/bridge/host_lock.h"
#include "cni/bridge/nat_table.h"
#include "cni/spec/child.h"
#include "cni/spec/error.h"

namespace weir::cni::bridge {

// The nat table through iptables' own programs, because it belongs to them: one `iptables-restore --noflush
// --wait` for an addition, one `iptables-save -t nat` to look. A restore without --noflush would empty the
// table, and a ":CHAIN" line empties that chain if it is there, so neither is ever written. Rules are taken
// away without the programs where nf_tables holds them (nft_removal.h), and by them where x_tables does.

// The addresses of one attachment of one family whose packets are to be masqueraded.
struct NatWish {
  std::string network;
  std::string container;
  std::vector<Prefix> addresses;
};

[[nodiscard]] auto parse_nat(std::string_view save) -> NatTable;

// Input for iptables-restore. The first makes the chain (and is refused if it is there), the second adds
// what `now` lacks; "" if it lacks nothing.
[[nodiscard]] auto first_nat_input(const NatWish& wish) -> std::string;
[[nodiscard]] auto missing_nat_input(const NatWish& wish, const NatTable& now) -> std::string;
// Takes away what choose_nat_removal names; "" if that is nothing.
[[nodiscard]] auto removal_nat_input(const NatTable& now, const Goes& goes) -> std::string;

// The path of iptables-restore, iptables-save and their IPv6 twins: in PATH, /usr/sbin or /sbin.
[[nodiscard]] auto find_program(std::string_view name) -> std::optional<std::string>;
[[nodiscard]] auto has_iptables(Family family) -> bool;
// Starts the restore of `input`; the program keeps `lock` for as long as it runs.
[[nodiscard]] auto start_restore(Family family, std::string input, const HostLock& lock) -> Result<Child>;

// Adds the rules; `started` is the restore of first_nat_input. Where the chain was there, what is missing
// is added to it.
[[nodiscard]] auto finish_addition(Family family, const NatWish& wish, Child started, const HostLock& lock)
    -> Result<void>;
[[nodiscard]] auto read_nat(Family family) -> Result<NatTable>;

// The nat table that x_tables holds (iptables-legacy); empty if there is none, or no program to look into it.
[[nodiscard]] auto read_legacy_table(Family family) -> Result<NatTable>;

// Deletes what `goes` names from those; whether that was anything.
[[nodiscard]] auto remove_from_legacy_tables(const std::vector<Family>& families, const Goes& goes) -> Result<bool>;

}  // namespace weir::cni::bridge
