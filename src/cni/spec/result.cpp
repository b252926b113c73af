#include "cni/spec/result.h"

#include <algorithm>

#include "cni/spec/version.h"

namespace weir::cni {
namespace {

const std::string no_prefix;

auto address_at(const Reader& reader, std::string_view key) -> Result<std::optional<Ip>> {
  const auto text = reader.string(key);
  if (!text) return Failure(text.error());
  if (text->value_or("").empty()) return std::optional<Ip>{};
  const auto ip = Ip::parse(**text);
  if (!ip) return fail(cni::text({"invalid IP address: ", **text}));
  return std::optional(*ip);
}

auto prefix_at(const Reader& reader, std::string_view key) -> Result<Prefix> {
  const auto text = reader.string(key);
  if (!text) return Failure(text.error());
  const auto prefix = Prefix::parse(text->value_or(""));
  if (!prefix) return fail(cni::text({"invalid CIDR address: ", text->value_or("")}));
  return *prefix;
}

constexpr std::int64_t most = UINT32_MAX;

auto parse_route(const Reader& reader) -> Result<Route> {
  Route route;
  const auto destination = prefix_at(reader, "dst");
  if (!destination) return Failure(destination.error());
  route.destination = *destination;
  const auto gateway = address_at(reader, "gw");
  if (!gateway) return Failure(gateway.error());
  route.gateway = *gateway;
  for (const auto& [key, into] :
       {std::pair("mtu", &route.mtu), std::pair("advmss", &route.advmss), std::pair("priority", &route.priority)}) {
    const auto number = reader.integer(key, 0, most);
    if (!number) return Failure(number.error());
    *into = number->value_or(0);
  }
  const auto table = reader.integer("table", 0, most);
  if (!table) return Failure(table.error());
  route.table = *table;
  const auto scope = reader.integer("scope", 0, 255);
  if (!scope) return Failure(scope.error());
  route.scope = *scope;
  return route;
}

auto parse_interface(const Reader& reader) -> Result<Interface> {
  Interface interface;
  for (const auto& [key, into] :
       {std::pair("name", &interface.name), std::pair("mac", &interface.mac), std::pair("sandbox", &interface.sandbox),
        std::pair("socketPath", &interface.socket_path), std::pair("pciID", &interface.pci_id)}) {
    auto text = reader.string(key);
    if (!text) return Failure(text.error());
    *into = text->value_or("");
  }
  const auto mtu = reader.integer("mtu", 0, most);
  if (!mtu) return Failure(mtu.error());
  interface.mtu = mtu->value_or(0);
  return interface;
}

auto parse_ip(const Reader& reader) -> Result<IpConfig> {
  IpConfig config;
  const auto address = prefix_at(reader, "address");
  if (!address) return Failure(address.error());
  config.address = *address;
  const auto gateway = address_at(reader, "gateway");
  if (!gateway) return Failure(gateway.error());
  config.gateway = *gateway;
  const auto interface = reader.integer("interface", -1, most);
  if (!interface) return Failure(interface.error());
  if (interface->value_or(-1) >= 0) config.interface = *interface;
  return config;
}

// {"ip4": {"ip", "gateway", "routes"}, "ip6": ..., "dns"}: versions 0.1.0 and 0.2.0.
auto parse_old(const Reader& reader) -> Result<AddResult> {
  AddResult result;
  for (const auto* family : {"ip4", "ip6"}) {
    const auto present = reader.object(family);
    if (!present) return Failure(present.error());
    if (*present == nullptr) continue;
    const Reader inner(**present, no_prefix, family);
    const auto address = prefix_at(inner, "ip");
    if (!address) return Failure(address.error());
    const auto gateway = address_at(inner, "gateway");
    if (!gateway) return Failure(gateway.error());
    result.ips.push_back({.interface = {}, .address = *address, .gateway = *gateway});
    auto routes = parse_routes(inner, "routes");
    if (!routes) return Failure(routes.error());
    result.routes.insert(result.routes.end(), routes->begin(), routes->end());
  }
  return result;
}

template <class T, class Parse>
auto parse_list(const Reader& reader, std::string_view key, std::vector<T>& into, Parse parse) -> Result<void> {
  const auto list = reader.array(key);
  if (!list) return Failure(list.error());
  if (*list == nullptr) return {};
  for (const auto& each : **list) {
    if (!each.is_object()) return reader.wrong(key, "a list of objects", each);
    auto item = parse(Reader(each, no_prefix, std::string(key)));
    if (!item) return Failure(item.error());
    into.push_back(std::move(*item));
  }
  return {};
}

}  // namespace

auto Dns::empty() const -> bool { return nameservers.empty() && domain.empty() && search.empty() && options.empty(); }

auto Route::as_kernel_has_it() const -> Route {
  constexpr std::int64_t most_mtu = 65535 - 15;     // net/ipv4/metrics.c, ip_metrics_convert()
  constexpr std::int64_t most_advmss = 65535 - 40;  // the same
  Route out = *this;
  out.destination = destination.network();
  out.mtu = std::min(mtu, most_mtu);
  out.advmss = std::min(advmss, most_advmss);
  if (out.table == 0) out.table.reset();
  if (!destination.ip.is_v4()) out.scope.reset();
  return out;
}

auto parse_routes(const Reader& reader, std::string_view key) -> Result<std::vector<Route>> {
  std::vector<Route> routes;
  if (auto good = parse_list(reader, key, routes, parse_route); !good) return Failure(good.error());
  return routes;
}

auto parse_dns(const Reader& reader) -> Result<Dns> {
  const auto inner = reader.inside("dns");
  if (!inner) return Failure(inner.error());
  Dns dns;
  for (const auto& [key, into] : {std::pair("nameservers", &dns.nameservers), std::pair("search", &dns.search),
                                  std::pair("options", &dns.options)}) {
    auto list = inner->strings(key);
    if (!list) return Failure(list.error());
    *into = std::move(*list);
  }
  const auto domain = inner->string("domain");
  if (!domain) return Failure(domain.error());
  dns.domain = domain->value_or("");
  return dns;
}

auto parse_result(const Json& json, std::string_view version) -> Result<AddResult> {
  if (!json.is_object()) return fail("result is no JSON object");
  const Reader reader(json, "result: ");
  auto result = AddResult{};
  if (!at_least(version, "0.3.0")) {
    auto old = parse_old(reader);
    if (!old) return old;
    result = std::move(*old);
  } else {
    if (auto good = parse_list(reader, "interfaces", result.interfaces, parse_interface); !good)
      return Failure(good.error());
    if (auto good = parse_list(reader, "ips", result.ips, parse_ip); !good) return Failure(good.error());
    if (auto good = parse_list(reader, "routes", result.routes, parse_route); !good) return Failure(good.error());
  }
  auto dns = parse_dns(reader);
  if (!dns) return Failure(dns.error());
  result.dns = std::move(*dns);
  return result;
}

auto check_previous_version(const Json& config, std::string_view version) -> Result<void> {
  const auto* json = member(config, "prevResult");
  const auto* said = json == nullptr ? nullptr : member(*json, "cniVersion");
  if (said == nullptr) return {};
  const bool lists = at_least(version, "1.0.0");
  const std::string_view name = said->is_string() ? std::string_view(said->get_ref<const std::string&>()) : "";
  const bool right = lists ? name == "1.0.0" || name == "1.1.0" : name == "0.3.0" || name == "0.3.1" || name == "0.4.0";
  if (right) return {};
  return fail(
      cni::text({"could not parse prevResult: result type supports ", lists ? "[1.0.0 1.1.0]" : "[0.3.0 0.3.1 0.4.0]",
                 " but unmarshalled CNIVersion is ", in_quotes(said->is_string() ? name : said->dump())}));
}

auto previous_result(const Json& config, std::string_view version) -> Result<std::optional<AddResult>> {
  const auto* json = member(config, "prevResult");
  if (json == nullptr) return std::optional<AddResult>{};
  auto result = parse_result(*json, version);
  if (!result) return fail("could not parse prevResult: " + result.error().msg);
  return std::optional(std::move(*result));
}

}  // namespace weir::cni
