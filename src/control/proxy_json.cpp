#include "control/proxy_json.h"

#include "control/registry.h"
#include "fault/missing_attribute.h"

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
      const auto whole = integer_of(value);
      fields.push_back(whole ? fault::Field{key, *whole} : fault::Field{key, value.dump()});
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

auto read_fault(const Json& object, const std::string& path) -> Read<fault::FaultSpec> {
  const auto fields = to_fields(object, path);
  if (!fields) return tl::make_unexpected(fields.error());
  auto spec = fault::make_fault(*fields);
  if (!spec) return bad(path, spec.error().message);
  std::vector<std::string> given;
  for (const auto& [key, value] : object.items()) given.push_back(key);
  if (const auto missing = fault::missing_attribute(spec->type->type, given); !missing.empty())
    return bad(path, missing);
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

namespace {

auto keys_of_proxy(std::initializer_list<std::string_view> others) -> std::vector<std::string_view> {
  std::vector<std::string_view> keys(others);
  keys.insert(keys.end(), setting_keys().begin(), setting_keys().end());
  return keys;
}

auto read_faults(const Json& list, const std::string& path) -> Read<fault::FaultList> {
  fault::FaultList faults;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", path, i);
    auto spec = read_fault(list[i], at);
    if (!spec) return tl::make_unexpected(spec.error());
    auto more = faults.with(*std::move(spec));
    if (!more) return bad(at, more.error().message);
    faults = *std::move(more);
  }
  return faults;
}

}  // namespace

auto read_definition(const Json& object, const std::string& path, const proxy::Timeouts& defaults)
    -> Read<ProxyDefinition> {
  StrictFields fields(object, path, keys_of_proxy({"name", "faults"}));
  ProxyDefinition definition;
  definition.rules.timeouts = defaults;
  const auto name = fields.text("name");
  if (const auto problem = name_problem(name.value_or("")); !problem.empty()) fields.wrong("name", problem);
  for (const std::string& key : required_settings()) {
    if (object.is_object() && object.contains(key)) continue;
    fields.wrong(key, fmt::format("it is missing: write {}", proxy::describe_values(*proxy::find_setting(key))));
  }
  const Json* faults = fields.list("faults");
  if (fields.error()) return tl::make_unexpected(*fields.error());
  definition.name = *name;
  if (auto wrong = read_rules(object, path, definition.rules)) return tl::make_unexpected(*std::move(wrong));
  if (faults == nullptr) return definition;
  auto read = read_faults(*faults, fields.at("faults"));
  if (!read) return tl::make_unexpected(read.error());
  definition.faults = *std::move(read);
  return definition;
}

auto read_changes(const Json& object, const ProxyEntry& now) -> Read<proxy::ProxyRules> {
  StrictFields fields(object, "", keys_of_proxy({"name"}));
  if (const auto name = fields.text("name"); name && *name != now.name) {
    fields.wrong("name", "a proxy keeps its name: remove it and add another");
  }
  if (fields.error()) return tl::make_unexpected(*fields.error());
  proxy::ProxyRules rules = now.rules;
  if (auto wrong = read_rules(object, "", rules)) return tl::make_unexpected(*std::move(wrong));
  return rules;
}

auto definition_json(const ProxyDefinition& definition) -> Json {
  Json faults = Json::array();
  for (const auto& spec : definition.faults.entries()) {
    Json fields = Json::object();
    for (const auto& field : fault::to_fields(*spec)) {
      std::visit([&](const auto& value) { fields[field.key] = value; }, field.value);
    }
    faults.push_back(std::move(fields));
  }
  Json out{{"name", definition.name}};
  out.update(rules_json(definition.rules));
  out["faults"] = std::move(faults);
  return out;
}

auto fault_json(const ProxyEntry& entry, const fault::FaultSpec& spec, const engine::Engine& engine) -> Json {
  return fault_json(spec, entry.fault_marks.at(spec.name), engine.faults(entry.id).sessions(spec.name));
}

auto fault_json(const fault::FaultSpec& spec, const Mark& mark, std::uint64_t applied) -> Json {
  Json out = Json::object();
  for (const auto& field : fault::to_fields(spec)) {
    std::visit([&](const auto& value) { out[field.key] = value; }, field.value);
  }
  show_mark(out, mark);
  out["applied_sessions"] = applied;
  return out;
}

auto hold_json(const Hold& hold) -> Json {
  return {{"id", hold.id}, {"lease", hold.lease.empty() ? Json() : Json(hold.lease)}};
}

auto proxy_json(const ProxyEntry& entry, const engine::Engine& engine) -> Json {
  Json faults = Json::array();
  for (const auto& spec : entry.faults->entries()) faults.push_back(fault_json(entry, *spec, engine));
  Json out = proxy_without_faults(entry);
  out["faults"] = std::move(faults);
  return out;
}

auto proxy_without_faults(const ProxyEntry& entry) -> Json {
  Json holds = Json::array();
  for (const Hold& hold : entry.holds) holds.push_back(hold_json(hold));
  Json out{{"name", entry.name}};
  out.update(rules_json(entry.rules));
  // What is, where that may differ from what is wished.
  out["listen"] = entry.listen;
  out["enabled"] = entry.listening;
  out["desired_enabled"] = entry.rules.enabled;
  show_mark(out, entry.mark);
  out["revision"] = entry.revision;
  out["holds"] = std::move(holds);
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

auto messages_json() -> Json {
  Json all = Json::array();
  for (const auto* framer : protocol::framers()) all.push_back({{"name", framer->name}, {"doc", framer->doc}});
  return all;
}

}  // namespace weir::control
