#include "cni/bridge/config.h"

#include <algorithm>
#include <array>

#include "cni/spec/arguments.h"

namespace weir::cni::bridge {
namespace {

constexpr std::int64_t most_vlan = 4094;
constexpr std::int64_t least_mtu = 68;         // linux/if_ether.h, ETH_MIN_MTU
constexpr std::int64_t least_ipv6_mtu = 1280;  // linux/ipv6.h, IPV6_MIN_MTU
const std::string prefix = "failed to load netconf: ";

auto trunk_id(std::optional<std::int64_t> id, std::string_view name) -> Result<std::int64_t> {
  if (*id <= 0 || *id > most_vlan) return fail(text({"incorrect trunk ", name, " parameter"}));
  return *id;
}

// How many of the items so far begin with an ID, less those that end before it.
using Trunk = std::array<int, most_vlan + 2>;

auto collect(const Reader& item, Trunk& into) -> Result<void> {
  const auto put = [&](std::int64_t from, std::int64_t to) {
    ++into.at(static_cast<std::size_t>(from));
    --into.at(static_cast<std::size_t>(to) + 1);
  };
  const auto least = item.integer("minID", INT32_MIN, INT32_MAX);
  const auto most = item.integer("maxID", INT32_MIN, INT32_MAX);
  const auto single = item.integer("id", INT32_MIN, INT32_MAX);
  for (const auto* each : {&least, &most, &single}) {
    if (!*each) return Failure(each->error());
  }
  if (*least && *most) {
    const auto from = trunk_id(*least, "minID");
    if (!from) return Failure(from.error());
    const auto to = trunk_id(*most, "maxID");
    if (!to) return Failure(to.error());
    if (*to < *from) return fail("minID is greater than maxID in trunk parameter");
    put(*from, *to);
  } else if (*most) {
    return fail("minID and maxID should be configured simultaneously, minID is missing");
  } else if (*least) {
    return fail("minID and maxID should be configured simultaneously, maxID is missing");
  }
  if (*single) {
    const auto id = trunk_id(*single, "id");
    if (!id) return Failure(id.error());
    put(*id, *id);
  }
  return {};
}

auto parse_vlans(const Reader& reader, Config& config) -> Result<void> {
  const auto vlan = reader.integer("vlan", INT32_MIN, INT32_MAX);
  if (!vlan) return Failure(vlan.error());
  const auto id = vlan->value_or(0);
  if (id < 0 || id > most_vlan) {
    return fail(text({"invalid VLAN ID ", std::to_string(id), " (must be between 0 and 4094)"}));
  }
  config.vlan = static_cast<std::uint16_t>(id);
  const auto trunk = reader.array("vlanTrunk");
  if (!trunk) return Failure(trunk.error());
  if (*trunk == nullptr) return {};
  config.has_trunk = true;
  Trunk ids{};
  for (const auto& each : **trunk) {
    if (!each.is_object()) return reader.wrong("vlanTrunk", "a list of objects", each);
    if (auto good = collect(Reader(each, prefix, "vlanTrunk"), ids); !good) return good;
  }
  for (int each = 0, inside = 0; each <= most_vlan; ++each) {
    inside += ids.at(static_cast<std::size_t>(each));
    if (inside > 0) config.trunk.push_back(static_cast<std::uint16_t>(each));
  }
  return {};
}

// runtimeConfig.mac before args.cni.mac before CNI_ARGS.
auto parse_mac_wish(const Request& request, const Reader& reader, Config& config) -> Result<void> {
  const auto arguments = Arguments::parse(request.environment.args);
  if (!arguments) return Failure(arguments.error());
  std::string wish(arguments->value("MAC"));
  const auto args = reader.inside("args");
  const auto cni = args ? args->inside("cni") : args;
  const auto runtime = reader.inside("runtimeConfig");
  for (const auto* section : {&cni, &runtime}) {
    if (!*section) return Failure(section->error());
    const auto mac = (*section)->string("mac");
    if (!mac) return Failure(mac.error());
    if (!mac->value_or("").empty()) wish = **mac;
  }
  config.mac_wish = std::move(wish);
  return {};
}

auto parse_switches(const Reader& reader, Config& config) -> Result<void> {
  for (const auto& [key, into] :
       {std::pair("isGateway", &config.is_gateway), std::pair("isDefaultGateway", &config.is_default_gateway),
        std::pair("forceAddress", &config.force_address), std::pair("ipMasq", &config.masquerade),
        std::pair("hairpinMode", &config.hairpin), std::pair("promiscMode", &config.promiscuous),
        std::pair("preserveDefaultVlan", &config.preserve_default_vlan),
        std::pair("macspoofchk", &config.mac_spoof_check),
        std::pair("disableContainerInterface", &config.container_interface_down),
        std::pair("portIsolation", &config.isolated), std::pair("enabledad", &config.detect_duplicates),
        std::pair("removeEmptyBridge", &config.remove_empty_bridge)}) {
    const auto value = reader.boolean(key);
    if (!value) return Failure(value.error());
    *into = value->value_or(false);
  }
  if (config.is_default_gateway) config.is_gateway = true;
  return {};
}

auto parse_backend(const Reader& reader, Config& config) -> Result<void> {
  const auto backend = reader.string("ipMasqBackend");
  if (!backend) return Failure(backend.error());
  if (!*backend) return {};
  if (**backend == "iptables") {
    config.backend = MasqueradeBackend::iptables;
  } else if (**backend == "nftables") {
    config.backend = MasqueradeBackend::nftables;
  } else {
    config.unknown_backend = **backend;
  }
  return {};
}

// An empty list is a wish, too: for none, whatever the IPAM plugin says.
auto has_list(const Reader& dns) -> bool {
  const auto is_there = [&](std::string_view key) {
    const auto list = dns.array(key);
    return list && *list != nullptr;
  };
  return is_there("nameservers") || is_there("search") || is_there("options");
}

auto parse_names(const Reader& reader, Config& config) -> Result<void> {
  const auto name = reader.string("bridge");
  if (!name) return Failure(name.error());
  if (*name) config.bridge = **name;
  const auto ipam = reader.inside("ipam");
  if (!ipam) return Failure(ipam.error());
  const auto type = ipam->string("type");
  if (!type) return Failure(type.error());
  config.ipam = type->value_or("");
  auto dns = parse_dns(reader);
  if (!dns) return Failure(dns.error());
  config.has_dns = !dns->empty() || has_list(*reader.inside("dns"));
  config.dns = std::move(*dns);
  const auto mtu = reader.integer("mtu", INT32_MIN, INT32_MAX);
  if (!mtu) return Failure(mtu.error());
  config.mtu = std::max<std::int64_t>(mtu->value_or(0), 0);  // as the reference, which wants one above 0
  return {};
}

}  // namespace

auto parse_config(const Request& request) -> Result<Config> {
  const Reader reader(request.config, prefix);
  Config config;
  if (auto good = parse_names(reader, config); !good) return Failure(good.error());
  if (auto good = parse_switches(reader, config); !good) return Failure(good.error());
  if (auto good = parse_backend(reader, config); !good) return Failure(good.error());
  if (auto good = parse_vlans(reader, config); !good) return Failure(good.error());
  if (auto good = parse_mac_wish(request, reader, config); !good) return Failure(good.error());
  return config;
}

auto check_for_add(Config& config) -> Result<void> {
  const auto& bridge = config.bridge;
  // The kernel would take a '%' for a place to put a number, and a zero byte for the end.
  constexpr std::string_view not_in_names("/:% \t\n\v\f\r\0", 10);
  if (bridge.empty() || bridge.size() > 15 || bridge == "." || bridge == ".." ||
      bridge.find_first_of(not_in_names) != std::string::npos) {
    return fail(text({"bridge: ", in_quotes(bridge),
                      " is no interface name: use 1 to 15 bytes without '/', ':', '%', blanks and zero bytes"}));
  }
  if (config.mtu > 65535) {
    return fail(text({"mtu: ", std::to_string(config.mtu), " is too large: a link takes at most 65535"}));
  }
  if (config.mtu > 0 && config.mtu < least_mtu) {
    return fail(ErrorCode::bad_config,
                text({"mtu: ", std::to_string(config.mtu), " is too small: a link takes at least ",
                      std::to_string(least_mtu), " (RFC 791, section 3.2)"}));
  }
  if (config.container_interface_down && !config.ipam.empty()) {
    return fail("cannot use IPAM when DisableContainerInterface flag is set");
  }
  if (config.hairpin && config.promiscuous) {
    return fail("cannot set hairpin mode and promiscuous mode at the same time");
  }
  if (config.masquerade && config.unknown_backend) {
    return fail(text({"unknown ipmasq backend ", in_quotes(*config.unknown_backend)}));
  }
  if (config.mac_wish.empty()) return {};
  config.mac = parse_mac(config.mac_wish);
  if (!config.mac) return fail(text({"failed to make veth pair: address ", config.mac_wish, ": invalid MAC address"}));
  return {};
}

auto check_ipv6_mtu(const Config& config, const std::optional<std::uint32_t>& bridge_mtu) -> Result<void> {
  const auto mtu = config.mtu != 0 ? config.mtu : std::int64_t{bridge_mtu.value_or(least_ipv6_mtu)};
  if (mtu >= least_ipv6_mtu) return {};
  const auto number = std::to_string(mtu);
  const auto what =
      config.mtu != 0 ? text({"mtu: ", number}) : text({"mtu: the ", number, " of bridge ", config.bridge});
  return fail(ErrorCode::bad_config,
              text({what,
                    " is too small for IPv6, which needs links of at least 1280 (RFC 8200, section 5): give mtu "
                    "1280 or more, or no IPv6 addresses"}));
}

}  // namespace weir::cni::bridge
