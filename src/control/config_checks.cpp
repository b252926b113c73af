// What a configuration file says as a whole, and what it needs of its machine: see config.h.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/nearest.h"
#include "control/config.h"

namespace weir::control {
namespace {

auto is_any(const Address::Ip& ip) -> bool {
  return std::ranges::all_of(ip.bytes, [](std::uint8_t byte) { return byte == 0; });
}

auto exclude_each_other(const Address& one, const Address& other) -> bool {
  if (!one.is_ip() || !other.is_ip()) return one == other;
  const auto& a = *one.ip();
  const auto& b = *other.ip();
  if (a.v6 != b.v6 || a.port != b.port || a.port == 0) return false;
  return one == other || is_any(a) || is_any(b);
}

auto find_collision(const Config& config) -> std::optional<FieldError> {
  const auto& proxies = config.proxies;
  for (std::size_t i = 0; i < proxies.size(); ++i) {
    if (!proxies[i].rules.enabled) continue;
    const auto& listen = proxies[i].rules.listen;
    const auto taken = [&](const std::string& by) {
      return FieldError{fmt::format("proxies[{}].listen", i),
                        fmt::format("{} is where {} listens: write another address or port; port 0 picks a free one",
                                    listen.text, by)};
    };
    for (std::size_t before = 0; before < i; ++before) {
      if (!proxies[before].rules.enabled || !collide(listen, proxies[before].rules.listen)) continue;
      return taken(fmt::format("the proxy \"{}\"", proxies[before].name));
    }
  }
  return std::nullopt;
}

auto find_unknown_proxy(const Config& config) -> std::optional<FieldError> {
  std::vector<std::string_view> names;
  for (const auto& proxy : config.proxies) names.push_back(proxy.name);
  for (std::size_t i = 0; i < config.observers.size(); ++i) {
    const auto& wanted = config.observers[i].proxies;
    for (std::size_t at = 0; at < wanted.size(); ++at) {
      if (std::ranges::find(names, wanted[at]) != names.end()) continue;
      const auto near = nearest(wanted[at], names);
      return FieldError{fmt::format("observers[{}].proxies[{}]", i, at),
                        fmt::format("there is no proxy \"{}\" in this file{}; leave proxies out to observe all, those "
                                    "that the API makes included",
                                    wanted[at], near ? fmt::format("; did you mean \"{}\"?", *near) : "")};
    }
  }
  return std::nullopt;
}

// That the file could be written to, or made: nothing is.
auto check_output(const std::string& path) -> Result<void> {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return failure("it is a directory");
  if (std::filesystem::exists(path, error)) {
    return ::access(path.c_str(), W_OK) == 0 ? Result<void>() : failure(errno_text(errno));
  }
  auto folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  if (!std::filesystem::is_directory(folder, error)) return failure("its directory does not exist; create it first");
  return ::access(folder.c_str(), W_OK | X_OK) == 0 ? Result<void>() : failure(errno_text(errno));
}

}  // namespace

auto collide(const ListenAddress& one, const ListenAddress& other) -> bool {
  return std::ranges::any_of(one.addresses, [&](const Address& a) {
    return std::ranges::any_of(other.addresses, [&](const Address& b) { return exclude_each_other(a, b); });
  });
}

auto find_conflict(const Config& config) -> std::optional<FieldError> {
  if (auto collision = find_collision(config)) return collision;
  return find_unknown_proxy(config);
}

auto check_machine(const Config& config) -> Result<void> {
  for (std::size_t i = 0; config.api && i < config.proxies.size(); ++i) {
    const auto& rules = config.proxies[i].rules;
    if (!rules.enabled || !collide(rules.listen, *config.api)) continue;
    return failure(
        fmt::format("proxies[{}].listen: {} is where the API listens, unless weir serve --api says otherwise", i,
                    rules.listen.text));
  }
  const auto can_write = [](const std::string& what, const std::string& path) -> Result<void> {
    const auto checked = check_output(path);
    return checked ? checked : failure(fmt::format("{}: {}: {}", what, path, checked.error().message));
  };
  for (std::size_t i = 0; i < config.observers.size(); ++i) {
    const auto& output = config.observers[i].output;
    if (output == "stdout") continue;
    if (auto checked = can_write(fmt::format("observers[{}].output", i), output); !checked) return checked;
  }
  for (const auto& target : config.log.targets.value_or(std::vector<syslog::Target>())) {
    if (target.transport != syslog::Transport::file) continue;
    if (auto checked = can_write("log.targets", target.path); !checked) return checked;
  }
  for (std::size_t i = 0; i < config.proxies.size(); ++i) {
    for (const auto& address : config.proxies[i].rules.listen.addresses) {
      const auto* path = address.unix_path();
      if (path == nullptr || path->starts_with('@')) continue;
      const auto folder = std::filesystem::path(*path).parent_path();
      if (folder.empty() || std::filesystem::is_directory(folder)) continue;
      return failure(
          fmt::format("proxies[{}].listen: {}: its directory does not exist; create it first", i, address.to_string()));
    }
  }
  return {};
}

}  // namespace weir::control
