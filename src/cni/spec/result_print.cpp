// How a result is written for each version of the specification.

#include "cni/spec/result.h"
#include "cni/spec/version.h"

namespace weir::cni {
namespace {

auto to_json(const Dns& dns) -> Json {
  Json json = Json::object();
  if (!dns.nameservers.empty()) json["nameservers"] = dns.nameservers;
  if (!dns.domain.empty()) json["domain"] = dns.domain;
  if (!dns.search.empty()) json["search"] = dns.search;
  if (!dns.options.empty()) json["options"] = dns.options;
  return json;
}

auto to_json(const Route& route) -> Json {
  Json json = Json::object();
  json["dst"] = route.destination.to_string();
  if (route.gateway) json["gw"] = route.gateway->to_string();
  if (route.mtu != 0) json["mtu"] = route.mtu;
  if (route.advmss != 0) json["advmss"] = route.advmss;
  if (route.priority != 0) json["priority"] = route.priority;
  if (route.table) json["table"] = *route.table;
  if (route.scope) json["scope"] = *route.scope;
  return json;
}

auto to_json(const Interface& interface, bool lists_only) -> Json {
  Json json = Json::object();
  json["name"] = interface.name;
  if (!interface.mac.empty()) json["mac"] = interface.mac;
  if (!interface.sandbox.empty()) json["sandbox"] = interface.sandbox;
  if (!lists_only) return json;
  if (interface.mtu != 0) json["mtu"] = interface.mtu;
  if (!interface.socket_path.empty()) json["socketPath"] = interface.socket_path;
  if (!interface.pci_id.empty()) json["pciID"] = interface.pci_id;
  return json;
}

auto to_json(const IpConfig& ip, bool lists_only) -> Json {
  Json json = Json::object();
  if (!lists_only) json["version"] = ip.address.ip.is_v4() ? "4" : "6";
  if (ip.interface) json["interface"] = *ip.interface;
  json["address"] = ip.address.to_string();
  if (ip.gateway) json["gateway"] = ip.gateway->to_string();
  return json;
}

// The order in which the reference's structs list their members, up to 0.4.0. From 1.0.0 on it is the
// alphabet's, and that is print_json's own.
const std::vector<std::string_view> old_order{
    "cniVersion", "interfaces", "ip4",     "ip6",   "name",        "mac",    "sandbox", "version", "interface",
    "address",    "ip",         "gateway", "ips",   "routes",      "dns",    "dst",     "gw",      "mtu",
    "advmss",     "priority",   "table",   "scope", "nameservers", "domain", "search",  "options"};

auto print_old(const AddResult& result, std::string_view version) -> Result<std::string> {
  Json json = Json::object();
  json["cniVersion"] = version;
  for (const auto& ip : result.ips) {
    const auto* key = ip.address.ip.is_v4() ? "ip4" : "ip6";
    if (json.contains(key)) continue;  // one of a family; the first
    Json family = Json::object();
    family["ip"] = ip.address.to_string();
    if (ip.gateway) family["gateway"] = ip.gateway->to_string();
    for (const auto& route : result.routes) {
      if (route.destination.ip.is_v4() != ip.address.ip.is_v4()) continue;
      Route plain{.destination = route.destination, .gateway = route.gateway, .table = {}, .scope = {}};
      family["routes"].push_back(to_json(plain));
    }
    json[key] = std::move(family);
  }
  if (!json.contains("ip4") && !json.contains("ip6")) return fail("cannot convert: no valid IP addresses");
  json["dns"] = to_json(result.dns);
  return print_json(json, old_order);
}

}  // namespace

auto print_result(const AddResult& result, std::string_view version) -> Result<std::string> {
  if (!at_least(version, "0.3.0")) return print_old(result, version);
  const bool lists_only = at_least(version, "1.0.0");
  Json json = Json::object();
  json["cniVersion"] = version;
  for (const auto& each : result.interfaces) json["interfaces"].push_back(to_json(each, lists_only));
  for (const auto& each : result.ips) json["ips"].push_back(to_json(each, lists_only));
  for (const auto& each : result.routes) json["routes"].push_back(to_json(each));
  if (!lists_only || !result.dns.empty()) json["dns"] = to_json(result.dns);
  static const std::vector<std::string_view> alphabet;
  return print_json(json, lists_only ? alphabet : old_order);
}

}  // namespace weir::cni
