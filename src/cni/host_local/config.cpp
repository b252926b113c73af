#include "cni/host_local/config.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "cni/spec/arguments.h"
#include "cni/spec/version.h"

namespace weir::cni::host_local {
namespace {

auto ip_at(const Reader& reader, std::string_view key) -> Result<std::optional<Ip>> {
  const auto text = reader.string(key);
  if (!text) return Failure(text.error());
  if (text->value_or("").empty()) return std::optional<Ip>{};
  const auto ip = Ip::parse(**text);
  if (!ip) return fail("invalid IP address: " + **text);
  return std::optional(*ip);
}

auto parse_wish(const Reader& reader) -> Result<RangeWish> {
  RangeWish wish;
  const auto subnet = reader.string("subnet");
  if (!subnet) return Failure(subnet.error());
  if (*subnet) {
    wish.subnet = Prefix::parse(**subnet);
    if (!wish.subnet) return fail("invalid CIDR address: " + **subnet);
    wish.subnet_is_mapped = wish.subnet->ip.is_v4() && (*subnet)->find(':') != std::string::npos;
  }
  for (const auto& [key, into] :
       {std::pair("rangeStart", &wish.start), std::pair("rangeEnd", &wish.end), std::pair("gateway", &wish.gateway)}) {
    const auto ip = ip_at(reader, key);
    if (!ip) return Failure(ip.error());
    *into = *ip;
  }
  return wish;
}

using Wishes = std::vector<std::vector<RangeWish>>;

// [[{"subnet": ...}, ...], ...]
auto parse_wishes(const Reader& reader, std::string_view key, Wishes& into) -> Result<void> {
  const auto sets = reader.array(key);
  if (!sets) return Failure(sets.error());
  if (*sets == nullptr) return {};
  for (const auto& set : **sets) {
    auto& wishes = into.emplace_back();
    if (set.is_null()) continue;  // an empty one, as Go reads it
    if (!set.is_array()) return reader.wrong(key, "a list of lists of ranges", set);
    for (const auto& range : set) {
      if (!range.is_object() && !range.is_null()) return reader.wrong(key, "a list of lists of ranges", range);
      const auto wish = parse_wish(Reader(range, {}, std::string(key)));
      if (!wish) return Failure(wish.error());
      wishes.push_back(*wish);
    }
  }
  return {};
}

// "10.1.2.3" or "10.1.2.3/24"; the prefix is not looked at. `known` are those of `into`.
auto add_requested(std::string_view word, std::vector<Ip>& into, std::set<Ip>& known) -> Result<void> {
  if (word.empty()) return fail("cannot understand ip: IP <nil> not v4 nor v6");
  std::optional<Ip> ip = Ip::parse(word);
  if (const auto prefix = Prefix::parse(word); !ip && prefix) ip = prefix->ip;
  if (!ip) return fail(text({"invalid IP address ", word}));
  if (known.insert(*ip).second) into.push_back(*ip);
  return {};
}

auto parse_requested(const Request& request, const Reader& reader) -> Result<std::vector<Ip>> {
  std::vector<std::string> words;
  const auto arguments = Arguments::parse(request.environment.args);
  if (!arguments) return Failure(arguments.error());
  if (const auto ip = arguments->value("IP"); !ip.empty()) {
    if (!Ip::parse(ip) && !Prefix::parse(ip)) {
      return fail(
          text({"ARGS: error parsing value of pair ", in_quotes(text({"IP=", ip})), ": invalid IP address ", ip}));
    }
    words.emplace_back(ip);
  }
  const auto args = reader.inside("args");
  const auto cni = args ? args->inside("cni") : args;
  const auto runtime = reader.inside("runtimeConfig");
  for (const auto* section : {&cni, &runtime}) {
    if (!*section) return Failure(section->error());
    const auto more = (*section)->strings("ips");
    if (!more) return Failure(more.error());
    words.insert(words.end(), more->begin(), more->end());
  }
  std::vector<Ip> ips;
  std::set<Ip> known;
  for (const auto& word : words) {
    if (auto good = add_requested(word, ips, known); !good) return Failure(good.error());
  }
  return ips;
}

// An interface gets an address, and rules for it, of every set; and all of it comes back with each CHECK and DEL.
auto check_sizes(const Config& config, const Wishes& wishes) -> Result<void> {
  constexpr std::size_t most_sets = 1024;
  constexpr std::size_t most_routes = 65536;
  const auto too_many = [](std::string_view what, std::size_t number, std::size_t most, std::string_view why) {
    return fail(ErrorCode::bad_config, text({what, ": ", std::to_string(number), " are too many: ", why,
                                             ", and at most ", std::to_string(most)}));
  };
  if (wishes.size() > most_sets) {
    return too_many("ipam.ranges", wishes.size(), most_sets, "an interface gets an address of each range set");
  }
  if (config.requested.size() > most_sets) {
    return too_many("ips", config.requested.size(), most_sets, "an interface gets one address of each range set");
  }
  if (config.routes.size() > most_routes) {
    return too_many("ipam.routes", config.routes.size(), most_routes, "all of them are added for each container");
  }
  return {};
}

auto make_sets(const Wishes& wishes, std::string_view version) -> Result<std::vector<RangeSet>> {
  if (wishes.empty()) return fail("no IP ranges specified");
  std::vector<RangeSet> sets;
  std::size_t v4 = 0;
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    auto set = RangeSet::make(wishes[i]);
    if (!set) return fail(text({"invalid range set ", std::to_string(i), ": ", set.error().msg}));
    if (set->is_v4()) ++v4;
    sets.push_back(std::move(*set));
  }
  if ((v4 > 1 || sets.size() - v4 > 1) && !at_least(version, "0.3.0")) {
    return fail(text({"CNI version ", version, " does not support more than 1 address per family"}));
  }
  std::vector<Grouped> all;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (const auto& range : sets[i].ranges()) all.push_back({&range, i});
  }
  if (const auto pair = find_overlap(all)) {
    const auto first = std::to_string(all[pair->first].group);
    return fail(text({"range set ", first, " overlaps with ", std::to_string(all[pair->second].group)}));
  }
  return sets;
}

}  // namespace

auto parse_config(const Request& request) -> Result<Config> {
  const Reader reader(request.config, {});
  const auto section = reader.object("ipam");
  if (!section) return Failure(section.error());
  if (*section == nullptr) return fail("IPAM config missing 'ipam' key");
  const Reader ipam(**section, {}, "ipam");
  Config config;
  // Not used, but of another type they are refused, as by the reference.
  for (const auto* key : {"type", "name"}) {
    if (const auto said = ipam.string(key); !said) return Failure(said.error());
  }
  const auto data_dir = ipam.string("dataDir");
  const auto resolv_conf = ipam.string("resolvConf");
  const auto reclaim = ipam.boolean("reclaimAfterReboot");
  // They are only handed on. A lease whose routes we would not have taken must be freed all the same.
  auto routes = request.command == Command::add ? parse_routes(ipam, "routes") : std::vector<Route>();
  auto requested = parse_requested(request, reader);
  if (!data_dir) return Failure(data_dir.error());
  if (!resolv_conf) return Failure(resolv_conf.error());
  if (!reclaim) return Failure(reclaim.error());
  if (!routes) return Failure(routes.error());
  if (!requested) return Failure(requested.error());
  if (!data_dir->value_or("").empty()) config.data_dir = **data_dir;
  // The kernel would take what stands before the zero for the whole of it.
  if (config.data_dir.find('\0') != std::string::npos) {
    return fail(text({"mkdir ", config.data_dir, ": ", errno_words(EINVAL)}));
  }
  config.resolv_conf = resolv_conf->value_or("");
  config.reclaim_after_reboot = reclaim->value_or(false);
  config.routes = std::move(*routes);
  config.requested = std::move(*requested);

  // The order of range sets is the order of addresses in the result: the runtime's, the old single range, the list.
  Wishes wishes;
  const auto runtime = reader.inside("runtimeConfig");
  if (!runtime) return Failure(runtime.error());
  if (auto good = parse_wishes(*runtime, "ipRanges", wishes); !good) return Failure(good.error());
  const auto single = parse_wish(ipam);
  if (!single) return Failure(single.error());
  if (single->subnet) wishes.push_back({*single});
  if (auto good = parse_wishes(ipam, "ranges", wishes); !good) return Failure(good.error());
  const bool leases = request.command == Command::add || request.command == Command::status;
  if (leases) {
    if (auto good = check_sizes(config, wishes); !good) return Failure(good.error());
  }
  auto sets = make_sets(wishes, request.version);
  if (!sets) return Failure(sets.error());
  config.sets = std::move(*sets);
  return config;
}

}  // namespace weir::cni::host_local
