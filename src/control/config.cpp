#include "control/config.h"

// toml++ 3.3 asserts, or lets clang assume, that a table's key begins as a key does, and only then finds that
// it may not ("[[+"). Without either it answers such a file with an error, as it should.
#undef NDEBUG
#define TOML_ASSERT(expression) static_assert(true)
#include <toml++/toml.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "base/duration.h"

namespace weir::control {
namespace {

// A TOML text as JSON values, and the line of each by its path.
class Tree {
 public:
  explicit Tree(const toml::table& table) { root_ = table_of(table, ""); }
  [[nodiscard]] auto root() const -> const Json& { return root_; }
  // Of the value, or of what it should have stood in.
  [[nodiscard]] auto line(std::string path) const -> std::uint32_t {
    while (true) {
      if (const auto found = lines_.find(path); found != lines_.end()) return found->second;
      const auto end = path.find_last_of(".[");
      if (end == std::string::npos) return 1;
      path.resize(end);
    }
  }

 private:
  // NOLINTNEXTLINE(misc-no-recursion): toml++ bounds the depth of what it parses.
  auto value_of(const toml::node& node, const std::string& path) -> Json {
    lines_[path] = node.source().begin.line;
    if (const auto* table = node.as_table()) return table_of(*table, path);
    if (const auto* array = node.as_array()) {
      Json list = Json::array();
      for (const auto& each : *array) list.push_back(value_of(each, fmt::format("{}[{}]", path, list.size())));
      return list;
    }
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) {
      // As JSON has it: a number that is not negative counts as unsigned.
      if (number->get() >= 0) return static_cast<std::uint64_t>(number->get());
      return number->get();
    }
    if (const auto* number = node.as_floating_point()) return number->get();
    if (const auto* flag = node.as_boolean()) return flag->get();
    return {};  // dates, which no key takes
  }
  // NOLINTNEXTLINE(misc-no-recursion)
  auto table_of(const toml::table& table, const std::string& path) -> Json {
    Json object = Json::object();
    // In the order of the file, not of the alphabet.
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::pair<std::string, const toml::node*>> ordered;
    for (const auto& [key, node] : table) {
      const auto at = key.source().begin;
      ordered.insert_or_assign({at.line, at.column}, std::pair(std::string(key.str()), &node));
    }
    for (const auto& [at, entry] : ordered) {
      const std::string child = path.empty() ? entry.first : path + "." + entry.first;
      object[entry.first] = value_of(*entry.second, child);
      lines_[child] = at.first;
    }
    return object;
  }

  Json root_;
  std::map<std::string, std::uint32_t> lines_;
};

auto read_api(const Json& object, Config& config) -> std::optional<FieldError> {
  StrictFields fields(object, "api", {"listen", "compat_open"});
  if (const auto listen = fields.text("listen")) {
    if (auto parsed = ListenAddress::parse(*listen)) {
      config.api = *std::move(parsed);
    } else {
      fields.wrong("listen", parsed.error().message);
    }
  }
  config.compat_open = fields.flag("compat_open");
  return fields.error();
}

auto read_proxies(const Json& list, Config& config) -> std::optional<FieldError> {
  std::set<std::string> names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string path = fmt::format("proxies[{}]", i);
    auto rule = read_rule(list[i], path, config.timeouts);
    if (!rule) return rule.error();
    if (!names.insert(rule->wish.name).second) {
      return FieldError{path + ".name", fmt::format("there is a proxy \"{}\" already", rule->wish.name)};
    }
    config.proxies.push_back(*std::move(rule));
  }
  return std::nullopt;
}

auto read_all(const Json& root, Config& config) -> std::optional<FieldError> {
  StrictFields fields(root, "", {"seed", "workers", "api", "log", "timeouts", "limits", "observers", "proxies"});
  config.seed = fields.number("seed", 0, 9'007'199'254'740'991);
  if (const auto workers = fields.number("workers", 1, 256)) config.workers = static_cast<unsigned>(*workers);
  const Json* api = fields.object("api");
  const Json* log = fields.object("log");
  const Json* timeouts = fields.object("timeouts");
  const Json* limits = fields.object("limits");
  const Json* observers = fields.list("observers");
  const Json* proxies = fields.list("proxies");
  if (fields.error()) return fields.error();
  if (api != nullptr) {
    if (auto error = read_api(*api, config)) return error;
  }
  if (log != nullptr) {
    auto read = read_log(*log);
    if (!read) return read.error();
    config.log = *std::move(read);
  }
  if (timeouts != nullptr) {
    auto read = read_timeouts(*timeouts, "timeouts", config.timeouts);
    if (!read) return read.error();
    config.timeouts = *read;
  }
  if (limits != nullptr) {
    StrictFields own(*limits, "limits", {"fault_bytes"});
    if (const auto text = own.text("fault_bytes")) {
      if (const auto bytes = parse_size(*text)) {
        config.fault_bytes = *bytes;
      } else {
        own.wrong("fault_bytes", bytes.error().message);
      }
    }
    if (own.error()) return own.error();
  }
  for (std::size_t i = 0; observers != nullptr && i < observers->size(); ++i) {
    auto read = read_observer((*observers)[i], fmt::format("observers[{}]", i));
    if (!read) return read.error();
    config.observers.push_back(*std::move(read));
  }
  return proxies == nullptr ? std::nullopt : read_proxies(*proxies, config);
}

// NOLINTNEXTLINE(misc-no-recursion): of our own values, three deep.
auto to_toml(const Json& object) -> toml::table {
  toml::table table;
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) table.insert(key, to_toml(value));
    if (value.is_string()) table.insert(key, value.get<std::string>());
    if (value.is_boolean()) table.insert(key, value.get<bool>());
    if (value.is_number_integer()) table.insert(key, value.get<std::int64_t>());
    if (value.is_number_float()) table.insert(key, value.get<double>());
    if (!value.is_array()) continue;
    toml::array list;
    for (const auto& each : value) {
      if (each.is_string()) {
        list.push_back(each.get<std::string>());
      } else {
        list.push_back(to_toml(each));
      }
    }
    table.insert(key, std::move(list));
  }
  return table;
}

auto rule_json(const ProxyRule& rule) -> Json {
  Json faults = Json::array();
  for (const auto& spec : rule.faults.entries()) {
    Json fields = Json::object();
    for (const auto& field : fault::to_fields(*spec)) {
      std::visit([&](const auto& value) { fields[field.key] = value; }, field.value);
    }
    faults.push_back(std::move(fields));
  }
  Json out{{"name", rule.wish.name},
           {"listen", rule.wish.listen_text},
           {"upstream", rule.wish.upstream.text},
           {"enabled", rule.wish.enabled},
           {"on_connect_failure", rule.wish.on_connect_failure == proxy::OnConnectFailure::close ? "close" : "reset"},
           {"fault_queue_limit", std::to_string(rule.wish.fault_queue_limit)},
           {"timeouts", timeouts_json(rule.wish.timeouts)},
           {"faults", std::move(faults)}};
  if (rule.wish.max_sessions) out["max_sessions"] = *rule.wish.max_sessions;
  return out;
}

auto find_rule(const Config& config, const std::string& name) -> const ProxyRule* {
  for (const ProxyRule& rule : config.proxies) {
    if (rule.wish.name == name) return &rule;
  }
  return nullptr;
}

void put_faults(Registry& registry, const ProxyEntry& entry, const ProxyRule& rule) {
  auto entries = rule.faults.entries();
  for (const auto& spec : entry.faults->entries()) {
    const bool from_api = entry.fault_marks.at(spec->name).owner == Owner::api;
    if (from_api && rule.faults.find(spec->name) == nullptr) entries.push_back(spec);
  }
  const std::string name = rule.wish.name;
  registry.set_faults(name, fault::FaultList(std::move(entries), entry.faults->revision() + 1),
                      {"fault.changed", name, "", 0});
  for (const auto& spec : rule.faults.entries()) registry.mark_fault(name, spec->name, {.owner = Owner::config});
}

void apply_rule(const ProxyRule* before, const ProxyRule& rule, Registry& registry, Log& log) {
  const std::string& name = rule.wish.name;
  const ProxyEntry* entry = registry.find(name);
  const auto tell = [&](const Refusal& why) { log.error(fmt::format("proxy {}: {}", name, why.message)); };
  if (entry == nullptr) {
    if (before != nullptr && rule_json(*before) == rule_json(rule)) return;  // removed through the API since
    const auto made = registry.create(rule.wish, nullptr, {.owner = Owner::config});
    if (!made) return tell(made.error());
    return put_faults(registry, **made, rule);
  }
  if (before == nullptr || entry->mark.owner != Owner::config) return;  // the API made another since
  Json was = rule_json(*before);
  Json is = rule_json(rule);
  const bool other_faults = was["faults"] != is["faults"];
  was.erase("faults");
  is.erase("faults");
  if (was != is) {
    const auto changed = registry.change(name, rule.wish);
    if (!changed) tell(changed.error());
  }
  if (other_faults) put_faults(registry, *entry, rule);
}

}  // namespace

auto parse_config(std::string_view text, const std::string& file) -> Result<Config> {
  try {
    const Tree tree(toml::parse(text));
    Config config;
    if (const auto error = read_all(tree.root(), config)) {
      return failure(fmt::format("{}:{}: {}", file, tree.line(error->path), error->sentence()));
    }
    return config;
  } catch (const toml::parse_error& error) {
    return failure(fmt::format("{}:{}: {}", file, error.source().begin.line, error.description()));
  }
}

auto read_config(const std::string& path) -> Result<Config> {
  std::ifstream file(path);
  if (!file) return failure(fmt::format("{}: {}", path, errno_text(errno)), errno);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse_config(text, path);
}

auto effective_config(const Config& config) -> std::string {
  Json root{{"timeouts", timeouts_json(config.timeouts)},
            {"api",
             {{"listen", config.api ? config.api->text : "127.0.0.1:8474"},
              {"compat_open", config.compat_open.value_or(false)}}},
            {"log", log_json(settle(config.log, {}))},
            {"observers", Json::array()},
            {"proxies", Json::array()}};
  if (config.seed) root["seed"] = *config.seed;
  if (config.workers) root["workers"] = *config.workers;
  root["limits"]["fault_bytes"] = fmt::format("{}", config.fault_bytes.value_or(fault::ByteBudget::default_limit));
  for (const ObserverRule& rule : config.observers) root["observers"].push_back(rule.effective);
  for (const ProxyRule& rule : config.proxies) root["proxies"].push_back(rule_json(rule));
  std::ostringstream out;
  out << to_toml(root) << '\n';
  return out.str();
}

auto apply_config(const Config& before, const Config& after, Registry& registry, Log& log) -> Result<void> {
  for (const ProxyRule& rule : after.proxies) {
    const ProxyEntry* entry = registry.find(rule.wish.name);
    if (entry != nullptr && find_rule(before, rule.wish.name) == nullptr) {
      return failure(
          fmt::format("proxy {}: the API made a proxy of this name; remove it, or take another name", rule.wish.name));
    }
  }
  for (const ProxyRule& rule : before.proxies) {
    const ProxyEntry* entry = registry.find(rule.wish.name);
    if (entry != nullptr && entry->mark.owner == Owner::config && find_rule(after, rule.wish.name) == nullptr) {
      registry.remove(rule.wish.name);
    }
  }
  for (const ProxyRule& rule : after.proxies) apply_rule(find_rule(before, rule.wish.name), rule, registry, log);
  return {};
}

}  // namespace weir::control
