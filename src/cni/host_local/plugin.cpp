#include "cni/host_local/plugin.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cni/host_local/config.h"
#include "cni/host_local/namespace_stamp.h"
#include "cni/host_local/resolv_conf.h"
#include "cni/host_local/store.h"
#include "cni/spec/version.h"

namespace weir::cni::host_local {
namespace {

auto attachment_of(const Request& request) -> Attachment {
  return {request.environment.container_id, request.environment.ifname};
}

auto options_of(const Request& request, const Config& config) -> Store::Options {
  return {.data_dir = config.data_dir, .network = request.name, .reclaim_after_reboot = config.reclaim_after_reboot};
}

auto lease(const Ip& ip, const Range& range) -> IpConfig {
  return {.interface = {}, .address = Prefix{ip, range.subnet.length}, .gateway = range.gateway};
}

// The same request again while an earlier attachment of the same names has its lease: where that one is known to be
// dead (a machine or a runtime crashed before the DEL), what it left goes, as by the DEL. By a caller in our process,
// or by the namespace that the leases were made for, which is no more.
auto free_remains(const Request& request, Store& store, const Attachment& owner) -> Result<void> {
  const auto leased = store.own_leases_of(owner);
  if (leased.empty()) return {};
  if (!request.free_remains) {
    const bool gone =
        std::all_of(leased.begin(), leased.end(), [&](const Ip& ip) { return store.is_of_gone_namespace(ip); });
    return gone ? store.release_own(owner) : Result<void>();
  }
  const auto dead = request.free_remains(leased);
  if (!dead) return Failure(dead.error());
  return *dead ? store.release_own(owner) : Result<void>();
}

auto allocate_requested(Store& store, const RangeSet& set, std::size_t number, const Ip& ip, const Attachment& owner)
    -> Result<IpConfig> {
  const auto* range = set.range_for(ip);
  if (ip == range->gateway) return fail(text({"requested ip ", ip.to_string(), " is subnet's gateway"}));
  do {
    const auto done = store.reserve(ip, owner, number);
    if (!done) return Failure(done.error());
    if (*done) return lease(ip, *range);
  } while (store.look_again());
  return fail(text({"requested IP address ", ip.to_string(), " is not available in range set ", set.to_string()}));
}

// `before` are the leases that the owner had before this ADD.
auto allocate_any(Store& store, const RangeSet& set, std::size_t number, const Attachment& owner,
                  std::vector<Ip>& before) -> Result<IpConfig> {
  while (true) {
    for (const auto& ip : before) {
      if (set.range_for(ip) == nullptr) continue;
      return fail(text(
          {ip.to_string(), " has been allocated to ", owner.container_id, ", duplicate allocation is not allowed"}));
    }
    Walk walk(set, store.last_reserved(number));
    while (const auto place = walk.next()) {
      const auto done = store.reserve(place->ip, owner, number);
      if (!done) return Failure(done.error());
      if (*done) return lease(place->ip, *place->range);
    }
    if (!store.look_again()) return fail("no IP addresses available in range set: " + set.to_string());
    before = store.leases_of(owner);
  }
}

// One address of each set. `requested` loses what was used.
auto allocate(Store& store, const Config& config, std::vector<Ip>& requested, const Attachment& owner,
              std::vector<IpConfig>& got) -> Result<void> {
  auto before = store.leases_of(owner);  // once: each is a file to be read
  for (std::size_t number = 0; number < config.sets.size(); ++number) {
    const auto& set = config.sets[number];
    const auto wish =
        std::find_if(requested.begin(), requested.end(), [&](const Ip& ip) { return set.range_for(ip) != nullptr; });
    Result<IpConfig> ip;
    if (wish != requested.end()) {
      const Ip wanted = *wish;
      requested.erase(wish);
      ip = allocate_requested(store, set, number, wanted, owner);
    } else {
      ip = allocate_any(store, set, number, owner, before);
    }
    if (!ip) {
      auto error = ip.error();
      error.msg = text({"failed to allocate for range ", std::to_string(number), ": ", error.msg});
      return Failure(std::move(error));
    }
    got.push_back(*ip);
  }
  if (requested.empty()) return {};
  std::string left = "failed to allocate all requested IPs:";
  for (const auto& ip : requested) left += " " + ip.to_string();
  return fail(left);
}

auto add(const Request& request) -> Result<AddResult> {
  auto config = parse_config(request);
  if (!config) return Failure(config.error());
  AddResult result;
  if (!config->resolv_conf.empty()) {
    auto dns = read_resolv_conf(config->resolv_conf);
    if (!dns) return Failure(dns.error());
    result.dns = std::move(*dns);
  }
  auto options = options_of(request, *config);
  // A caller in our process knows better what became of its attachments.
  if (!request.free_remains) options.netns = namespace_stamp(request.environment.netns);
  auto store = Store::open(options);
  if (!store) return Failure(store.error());
  const auto owner = attachment_of(request);
  auto done = free_remains(request, *store, owner);
  if (done) done = allocate(*store, *config, config->requested, owner, result.ips);
  if (!done) {
    for (const auto& ip : result.ips) {
      const auto released = store->release(ip.address.ip, owner);
      if (!released) done.error().msg += "; and what was leased before that stays: " + released.error().msg;
    }
    return Failure(done.error());
  }
  result.routes = std::move(config->routes);
  // The old form has a place for a route only beside an address of its family.
  if (!at_least(request.version, "0.3.0")) {
    std::erase_if(result.routes, [&](const Route& route) {
      return std::none_of(result.ips.begin(), result.ips.end(),
                          [&](const IpConfig& ip) { return ip.address.ip.is_v4() == route.destination.ip.is_v4(); });
    });
  }
  return result;
}

auto del(const Request& request) -> Result<void> {
  const auto config = parse_config(request);
  if (!config) return Failure(config.error());
  auto store = Store::open_existing(options_of(request, *config));
  if (!store) return Failure(store.error());
  return *store ? (*store)->release(attachment_of(request)) : Result<void>();
}

auto check(const Request& request) -> Result<void> {
  const auto config = parse_config(request);
  if (!config) return Failure(config.error());
  auto store = Store::open_existing(options_of(request, *config));
  if (!store) return Failure(store.error());
  if (*store && (*store)->has_lease(attachment_of(request))) return {};
  return fail("host-local: Failed to find address added by container " + request.environment.container_id);
}

auto gc(const Request& request) -> Result<void> {
  const auto valid = valid_attachments(request);
  if (!valid) return Failure(valid.error());
  const auto config = parse_config(request);
  if (!config) return Failure(config.error());
  auto store = Store::open_existing(options_of(request, *config));
  if (!store) return Failure(store.error());
  if (!*store) return {};
  return (*store)->release_all_but(*valid);
}

// Whether leases could be written to a folder that may not be there yet.
auto is_writable(std::string folder) -> bool {
  while (::access(folder.c_str(), F_OK) != 0 && folder != "/" && folder != ".") {
    const auto slash = folder.rfind('/');
    folder = slash == std::string::npos ? "." : folder.substr(0, std::max<std::size_t>(slash, 1));
  }
  struct stat about {};
  return ::stat(folder.c_str(), &about) == 0 && S_ISDIR(about.st_mode) && ::access(folder.c_str(), W_OK | X_OK) == 0;
}

// Leases are counted, addresses never: an IPv6 /64 has 2^64 of them.
auto is_full(const RangeSet& set, const std::vector<Ip>& leased) -> bool {
  const auto taken = std::count_if(leased.begin(), leased.end(), [&](const Ip& ip) {
    const auto* range = set.range_for(ip);
    return range != nullptr && range->gateway != ip;
  });
  return static_cast<std::uint64_t>(taken) >= set.size();
}

auto status(const Request& request) -> Result<void> {
  const auto config = parse_config(request);
  if (!config) return Failure(config.error());
  const auto unavailable = [](std::string why) { return fail(ErrorCode::plugin_not_available, std::move(why)); };
  if (!config->resolv_conf.empty()) {
    if (const auto dns = read_resolv_conf(config->resolv_conf); !dns) return unavailable(dns.error().msg);
  }
  if (!is_writable(config->data_dir)) return unavailable(text({"dataDir ", config->data_dir, " cannot be written"}));
  auto store = Store::open_existing(options_of(request, *config));
  if (!store) return unavailable(store.error().msg);
  const auto first_full = [&] {
    const auto leased = *store ? (*store)->all() : std::vector<Ip>{};
    return std::find_if(config->sets.begin(), config->sets.end(),
                        [&](const RangeSet& set) { return is_full(set, leased); });
  };
  auto full = first_full();
  if (full != config->sets.end() && *store && (*store)->look_again()) full = first_full();
  if (full == config->sets.end()) return {};
  return unavailable("no IP addresses available in range set: " + full->to_string());
}

}  // namespace

auto plugin() -> const Plugin& {
  static constexpr Plugin plugin{
      .name = "host-local", .add = add, .del = del, .check = check, .gc = gc, .status = status};
  return plugin;
}

auto gives_ipv6(const Request& request) -> bool {
  const auto config = parse_config(request);
  return config && std::any_of(config->sets.begin(), config->sets.end(), [](const auto& set) { return !set.is_v4(); });
}

auto leased_addresses(const Request& request) -> std::vector<Ip> {
  const auto config = parse_config(request);
  if (!config) return {};
  const auto store = Store::open_existing(options_of(request, *config));
  return store && *store ? (*store)->leases_of(attachment_of(request)) : std::vector<Ip>{};
}

auto all_leases(const Request& request) -> std::vector<Lease> {
  std::vector<Lease> leases;
  const auto config = parse_config(request);
  if (!config) return leases;
  const auto store = Store::open_existing(options_of(request, *config));
  if (!store || !*store) return leases;
  for (const auto& ip : (*store)->all()) leases.push_back({ip, (*store)->owner_of(ip)});
  return leases;
}

}  // namespace weir::cni::host_local
