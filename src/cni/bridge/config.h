#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cni/spec/ip.h"
#include "cni/spec/request.h"
#include "cni/spec/result.h"

namespace weir::cni::bridge {

enum class MasqueradeBackend { automatic, iptables, nftables };

// A network configuration of type bridge. docs/cni.md says what each key does.
struct Config {
  std::string bridge = "cni0";
  bool is_gateway = false;  // also where isDefaultGateway is set
  bool is_default_gateway = false;
  bool force_address = false;
  bool masquerade = false;
  MasqueradeBackend backend = MasqueradeBackend::automatic;
  std::int64_t mtu = 0;  // 0: the kernel's
  bool hairpin = false;
  bool promiscuous = false;
  std::uint16_t vlan = 0;            // 0: none
  bool has_trunk = false;            // vlanTrunk is there, though perhaps empty
  std::vector<std::uint16_t> trunk;  // sorted, without repeats
  bool preserve_default_vlan = false;
  bool mac_spoof_check = false;
  bool container_interface_down = false;
  bool isolated = false;
  bool detect_duplicates = false;    // IPv6 DAD in the container
  bool remove_empty_bridge = false;  // ours alone: the bridge goes with its last port
  std::string ipam;                  // type; "" for a network without addresses
  Dns dns;
  bool has_dns = false;                        // though perhaps of empty lists
  std::string mac_wish;                        // as written; "" for none
  std::optional<Mac> mac;                      // of the container's interface
  std::optional<std::string> unknown_backend;  // what ipMasqBackend says, if it is no backend

  [[nodiscard]] auto vlan_filtering() const -> bool { return vlan != 0 || has_trunk; }
};

// Refuses what cannot be read. Every error has code 999 and the reference's message.
[[nodiscard]] auto parse_config(const Request& request) -> Result<Config>;
// Refuses what no attachment can be made of, and fills in `mac`. For ADD and STATUS: a network whose ADD was
// refused, or that was changed since, can be deleted all the same.
[[nodiscard]] auto check_for_add(Config& config) -> Result<void>;
// For an attachment with IPv6 addresses: the kernel takes IPv6 away from a link whose MTU is below 1280 (RFC 8200,
// section 5). `bridge_mtu` is what the bridge has that is to get an IPv6 address; none if it is not there, or gets
// none.
[[nodiscard]] auto check_ipv6_mtu(const Config& config, const std::optional<std::uint32_t>& bridge_mtu) -> Result<void>;

}  // namespace weir::cni::bridge
