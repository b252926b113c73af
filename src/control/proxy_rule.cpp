#include "control/proxy_rule.h"

#include <algorithm>

#include "base/duration.h"

namespace weir::control {
namespace {

auto bad(std::string path, std::string message) {
  return tl::make_unexpected(FieldError{std::move(path), std::move(message)});
}

// Names stand in paths and metrics; toxiproxy's may hold anything but a slash.
auto name_problem(const std::string& name) -> std::string {
  if (name.empty()) return "write a name";
  if (name.size() > 200) return "the name is longer than 200 characters";
  if (name.find('/') != std::string::npos) return "a name cannot hold a slash, as it could not be asked for";
  return "";
}

// Less than a read would never let one in; more than that is a slip of the pen.
constexpr std::uint64_t least_queue_limit = 64 * 1024;
constexpr std::uint64_t most_queue_limit = std::uint64_t{1} << 40;

// The fields that create and change share.
void read_common(StrictFields& fields, ProxyWish& wish) {
  if (const auto listen = fields.text("listen")) {
    if (auto parsed = ListenAddress::parse(*listen)) {
      wish.listen = *std::move(parsed);
      wish.listen_text = *listen;
    } else {
      fields.wrong("listen", parsed.error().message);
    }
  }
  if (const auto upstream = fields.text("upstream")) {
    if (auto parsed = UpstreamAddress::parse(*upstream)) {
      wish.upstream = *std::move(parsed);
    } else {
      fields.wrong("upstream", parsed.error().message);
    }
  }
  if (const auto enabled = fields.flag("enabled")) wish.enabled = *enabled;
  if (const auto how = fields.text("on_connect_failure")) {
    if (*how == "reset" || *how == "close") {
      wish.on_connect_failure = *how == "close" ? proxy::OnConnectFailure::close : proxy::OnConnectFailure::reset;
    } else {
      fields.wrong("on_connect_failure", fmt::format("write reset or close, not \"{}\"", how->substr(0, 64)));
    }
  }
  if (const auto most = fields.number("max_sessions", 1, 1'000'000'000)) wish.max_sessions = *most;
  if (const auto limit = fields.text("fault_queue_limit")) {
    const auto bytes = parse_size(*limit);
    if (!bytes) {
      fields.wrong("fault_queue_limit", bytes.error().message);
    } else if (*bytes < least_queue_limit || *bytes > most_queue_limit) {
      fields.wrong("fault_queue_limit", "write a size from 64KiB to 1024GiB, such as 32MiB");
    } else {
      wish.fault_queue_limit = *bytes;
    }
  }
}

auto to_fields(const Json& object, const std::string& path) -> Read<std::vector<fault::Field>> {
  if (!object.is_object()) return bad(path, "write an object such as {\"type\": \"latency\", \"latency\": \"100ms\"}");
  std::vector<fault::Field> fields;
  for (const auto& [key, value] : object.items()) {
    if (key == "id" || key == "owner" || key == "lease" || key == "applied_sessions") continue;  // as it was shown
    if (value.is_string()) {
      fields.push_back({key, value.get<std::string>()});
    } else if (value.is_boolean()) {
      fields.push_back({key, value.get<bool>()});
    } else if (value.is_number_integer()) {
      fields.push_back({key, value.get<std::int64_t>()});
    } else if (value.is_number()) {
      fields.push_back({key, value.get<double>()});
    } else {
      return bad(fmt::format("{}.{}", path, key), "write a text or a number");
    }
  }
  return fields;
}

void show_mark(Json& out, const Mark& mark) {
  out["id"] = mark.id;
  out["owner"] = to_string(mark.owner);
  out["lease"] = mark.lease.empty() ? Json() : Json(mark.lease);
}

}  // namespace

auto read_timeouts(const Json& object, const std::string& path, proxy::Timeouts timeouts) -> Read<proxy::Timeouts> {
  for (const auto& [key, value] : object.items()) {
    const std::string at = fmt::format("{}.{}", path, key);
    const auto* info = event::find_timeout(key);
    if (info == nullptr) {
      std::vector<std::string_view> names;
      for (const auto& each : event::timeout_catalog()) names.push_back(each.text);
      return bad(at, unknown_key(key, names));
    }
    if (!value.is_string()) return bad(at, "write a duration in quotes, such as \"10m\", or \"off\"");
    const auto duration = parse_duration_or_off(value.get<std::string>());
    if (!duration) return bad(at, duration.error().message);
    if (!*duration && !info->may_be_off) return bad(at, "it cannot be off");
    if (*duration && **duration == Nanos{0}) return bad(at, "0 would end everything at once; use \"off\" for no limit");
    timeouts.set(info->name, *duration);
  }
  return timeouts;
}

auto read_fault(const Json& object, const std::string& path) -> Read<fault::FaultSpec> {
  const auto fields = to_fields(object, path);
  if (!fields) return tl::make_unexpected(fields.error());
  auto spec = fault::make_fault(*fields);
  if (!spec) return bad(path, spec.error().message);
  if (const auto problem = name_problem(spec->name); !problem.empty()) return bad(path + ".name", problem);
  return *std::move(spec);
}

auto read_fault_changes(const Json& object, const fault::FaultSpec& now) -> Read<fault::FaultSpec> {
  const auto fields = to_fields(object, "");
  if (!fields) return tl::make_unexpected(fields.error());
  auto spec = fault::change_fault(now, *fields);
  if (!spec) return bad("", spec.error().message);
  return *std::move(spec);
}

auto read_rule(const Json& object, const std::string& path, const proxy::Timeouts& defaults) -> Read<ProxyRule> {
  StrictFields fields(object, path,
                      {"name", "listen", "upstream", "enabled", "on_connect_failure", "max_sessions",
                       "fault_queue_limit", "timeouts", "faults"});
  ProxyRule rule;
  rule.wish.timeouts = defaults;
  rule.wish.listen_text = "127.0.0.1:0";
  rule.wish.listen = *ListenAddress::parse(rule.wish.listen_text);
  const auto name = fields.text("name");
  read_common(fields, rule.wish);
  if (const auto problem = name_problem(name.value_or("")); !problem.empty()) fields.wrong("name", problem);
  if (!object.is_object() || !object.contains("upstream"))
    fields.wrong("upstream", "write where to connect to, such as \"db:5432\"");
  const Json* timeouts = fields.object("timeouts");
  const Json* faults = fields.list("faults");
  if (fields.error()) return tl::make_unexpected(*fields.error());
  rule.wish.name = *name;
  if (timeouts != nullptr) {
    auto read = read_timeouts(*timeouts, fields.at("timeouts"), rule.wish.timeouts);
    if (!read) return tl::make_unexpected(read.error());
    rule.wish.timeouts = *read;
  }
  for (std::size_t i = 0; faults != nullptr && i < faults->size(); ++i) {
    const std::string at = fmt::format("{}[{}]", fields.at("faults"), i);
    auto spec = read_fault((*faults)[i], at);
    if (!spec) return tl::make_unexpected(spec.error());
    auto list = rule.faults.with(*std::move(spec));
    if (!list) return bad(at, list.error().message);
    rule.faults = *std::move(list);
  }
  return rule;
}

auto read_changes(const Json& object, const ProxyWish& now) -> Read<ProxyWish> {
  StrictFields fields(
      object, "",
      {"name", "listen", "upstream", "enabled", "on_connect_failure", "max_sessions", "fault_queue_limit", "timeouts"});
  ProxyWish wish = now;
  if (const auto name = fields.text("name"); name && *name != now.name) {
    fields.wrong("name", "a proxy keeps its name: remove it and add another");
  }
  read_common(fields, wish);
  const Json* timeouts = fields.object("timeouts");
  if (fields.error()) return tl::make_unexpected(*fields.error());
  if (timeouts != nullptr) {
    auto read = read_timeouts(*timeouts, "timeouts", wish.timeouts);
    if (!read) return tl::make_unexpected(read.error());
    wish.timeouts = *read;
  }
  return wish;
}

auto timeouts_json(const proxy::Timeouts& timeouts) -> Json {
  Json out = Json::object();
  for (const auto& info : event::timeout_catalog()) {
    const auto value = timeouts[info.name];
    out[std::string(info.text)] = value ? canonical_duration(*value) : "off";
  }
  return out;
}

auto fault_json(const ProxyEntry& entry, const fault::FaultSpec& spec, const engine::Engine& engine) -> Json {
  Json out = Json::object();
  for (const auto& field : fault::to_fields(spec)) {
    std::visit([&](const auto& value) { out[field.key] = value; }, field.value);
  }
  show_mark(out, entry.fault_marks.at(spec.name));
  std::uint64_t applied = 0;
  for (const auto& count : engine.faults(entry.id).counts()) {
    if (count.fault == spec.name) applied = count.sessions;
  }
  out["applied_sessions"] = applied;
  return out;
}

auto hold_json(const Hold& hold) -> Json {
  return {{"id", hold.id}, {"lease", hold.lease.empty() ? Json() : Json(hold.lease)}};
}

auto proxy_json(const ProxyEntry& entry, const engine::Engine& engine) -> Json {
  Json faults = Json::array();
  for (const auto& spec : entry.faults->entries()) faults.push_back(fault_json(entry, *spec, engine));
  Json holds = Json::array();
  for (const Hold& hold : entry.holds) holds.push_back(hold_json(hold));
  Json out{{"name", entry.wish.name},
           {"listen", entry.listen},
           {"upstream", entry.wish.upstream.text},
           {"enabled", entry.enabled},
           {"desired_enabled", entry.wish.enabled}};
  show_mark(out, entry.mark);
  out.update(
      {{"revision", entry.revision},
       {"on_connect_failure", entry.wish.on_connect_failure == proxy::OnConnectFailure::close ? "close" : "reset"},
       {"max_sessions", entry.wish.max_sessions ? Json(*entry.wish.max_sessions) : Json()},
       {"fault_queue_limit", std::to_string(entry.wish.fault_queue_limit)},
       {"timeouts", timeouts_json(entry.wish.timeouts)},
       {"holds", std::move(holds)},
       {"faults", std::move(faults)}});
  return out;
}

namespace {

auto kind_text(fault::AttributeKind kind) -> std::string_view {
  using enum fault::AttributeKind;
  switch (kind) {
    case duration: return "duration";
    case size: return "size";
    case rate: return "rate";
    case count: return "count";
    case fraction: return "fraction";
    case word: return "word";
    case hex: return "hex";
  }
  return "";
}

auto phase_text(fault::FaultPhase phase) -> std::string_view {
  using enum fault::FaultPhase;
  switch (phase) {
    case accept: return "accept";
    case connect: return "connect";
    case stream: return "stream";
  }
  return "";
}

}  // namespace

auto catalog_json() -> Json {
  Json all = Json::array();
  for (const auto* info : fault::catalog()) {
    Json attributes = Json::array();
    for (const auto& attribute : info->attributes) {
      attributes.push_back({{"name", attribute.name},
                            {"doc", attribute.doc},
                            {"kind", kind_text(attribute.kind)},
                            {"words", attribute.words},
                            {"optional", attribute.optional},
                            {"values", fault::describe_values(attribute)},
                            {"default", fault::format_value(attribute, attribute.default_value)}});
    }
    all.push_back({{"type", info->type},
                   {"doc", info->doc},
                   {"toxiproxy", info->classic},
                   {"phase", phase_text(info->phase)},
                   {"direction", fault::to_string(info->default_direction)},
                   {"attributes", std::move(attributes)}});
  }
  return all;
}

}  // namespace weir::control
