#include "api/openapi.h"

#include "control/proxy_json.h"
#include "diagnose/cause.h"
#include "event/timeout_name.h"

namespace weir::api {
namespace {

auto text() -> Json { return {{"type", "string"}}; }
auto flag() -> Json { return {{"type", "boolean"}}; }
auto number() -> Json { return {{"type", "number"}}; }
auto count(std::int64_t least = 0) -> Json { return {{"type", "integer"}, {"minimum", least}}; }
auto choice(std::initializer_list<std::string_view> words) -> Json {
  Json all = Json::array();
  for (const auto word : words) all.push_back(word);
  return {{"type", "string"}, {"enum", std::move(all)}};
}
auto or_null(Json schema) -> Json {
  schema["nullable"] = true;
  return schema;
}
auto list_of(Json items) -> Json { return {{"type", "array"}, {"items", std::move(items)}}; }
auto described(Json schema, std::string_view text) -> Json {
  schema["description"] = text;
  return schema;
}

// Every property is there and no other is.
auto whole(Json properties) -> Json {
  Json required = Json::array();
  for (const auto& [name, schema] : properties.items()) required.push_back(name);
  return {{"type", "object"},
          {"required", std::move(required)},
          {"properties", std::move(properties)},
          {"additionalProperties", false}};
}

// What a body may hold.
auto body(Json properties, Json required = Json::array()) -> Json {
  Json schema{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

// `answered`: in the one form that answers have; else in every form that is taken.
auto attribute_schema(const fault::AttributeInfo& attribute, bool answered) -> Json {
  using fault::AttributeKind;
  Json schema;
  switch (attribute.kind) {
    case AttributeKind::duration:
    case AttributeKind::rate:
      schema = text();
      schema["x-least"] = fault::format_value(attribute, fault::Value{attribute.least});
      break;
    case AttributeKind::size:
    case AttributeKind::count:
      schema = count(attribute.least);
      if (attribute.most != std::numeric_limits<std::int64_t>::max()) schema["maximum"] = attribute.most;
      if (!answered) schema = {{"oneOf", {std::move(schema), text()}}};
      break;
    case AttributeKind::fraction:
      schema = number();
      schema["minimum"] = 0;
      schema["maximum"] = 1;
      break;
    case AttributeKind::hex:
      schema = text();
      schema["pattern"] = "^([0-9a-fA-F]{2})*$";
      break;
    case AttributeKind::word:
      schema = text();
      schema["enum"] = Json::array();
      for (const auto word : attribute.words) schema["enum"].push_back(word);
      break;
  }
  if (!answered && !attribute.optional) {
    const bool counted = attribute.kind == AttributeKind::size || attribute.kind == AttributeKind::count;
    schema["default"] = fault::format_value(attribute, attribute.default_value);
    if (counted) schema["default"] = std::get<std::int64_t>(attribute.default_value);
    if (attribute.kind == AttributeKind::fraction) schema["default"] = std::get<double>(attribute.default_value);
  }
  return described(std::move(schema), fmt::format("{}: {}", attribute.doc, fault::describe_values(attribute)));
}

// What every fault has, but for its type.
auto common_fields(bool in_stream) -> Json {
  Json fields{{"name", described(text(), "unique in its proxy; by default the type and its direction")},
              {"probability", {{"type", "number"}, {"minimum", 0}, {"maximum", 1}, {"default", 1}}},
              {"scope", choice({"session", "client", "proxy"})},
              {"match", described(text(), "a client's address, or a network such as 10.0.0.0/8")}};
  if (!in_stream) return fields;
  fields["direction"] = choice({"upstream", "downstream", "both"});
  fields["after"] = described(text(), "when it begins: a time such as 5s, or bytes such as 64KiB");
  fields["for"] = described(text(), "how long it lasts, such as 10s");
  Json messages = text();
  messages["enum"] = Json::array();
  for (const auto* framer : protocol::framers()) messages["enum"].push_back(framer->name);
  fields["on"] = described(std::move(messages), "only for messages of this kind: lines, say");
  fields["nth"] = described(count(1), "the first message that is selected, counted from 1");
  fields["every"] = described(count(1), "and then one message in so many");
  return fields;
}

auto placing_fields() -> Json {
  return {{"position", described(count(1), "its place in the chain, from 1")},
          {"before", described(text(), "the name of the fault to stand in front of")}};
}

// Whose an object is, as answers show it.
void add_mark(Json& fields) {
  fields["id"] = described(text(), "no other object's, whatever becomes of its name");
  fields["owner"] = choice({"api", "config"});
  fields["lease"] = described(or_null(text()), "the lease that it goes with");
}

auto fault_schema(const fault::FaultInfo& info, bool answered) -> Json {
  Json fields{{"type", choice({info.type})}};
  fields.update(common_fields(info.phase == fault::FaultPhase::stream));
  for (const auto& attribute : info.attributes) {
    fields[std::string(attribute.name)] = attribute_schema(attribute, answered);
  }
  add_mark(fields);
  fields["applied_sessions"] = count();
  Json required{"type"};
  if (answered) {
    for (const char* name : {"name", "probability", "scope", "id", "owner", "lease", "applied_sessions"})
      required.push_back(name);
  } else {
    fields.update(placing_fields());
  }
  return described(body(std::move(fields), std::move(required)), info.doc);
}

// Every field of every fault: which ones a fault has is known by its type alone.
auto fault_changes() -> Json {
  Json fields = common_fields(true);
  fields["on"]["enum"].push_back("");  // for all bytes again
  for (const char* each : {"nth", "every"}) fields[each] = {{"oneOf", {count(1), choice({"off"})}}};
  fields["type"] = text();
  fields.update(placing_fields());
  for (const auto* info : fault::catalog()) {
    for (const auto& attribute : info->attributes) {
      fields[std::string(attribute.name)] = described(Json::object(), "as the fault's type has it");
    }
  }
  return body(std::move(fields));
}

void add_proxies(Json& all) {
  Json changes{{"name", described(text(), "unique; a proxy keeps it")}};
  changes.update(control::settings_schema(false));
  Json made = changes;
  made["faults"] = list_of(schema_ref("NewFault"));
  Json required{"name"};
  for (const std::string& key : control::required_settings()) required.push_back(key);
  all["NewProxy"] = body(std::move(made), std::move(required));
  all["ProxyChanges"] = body(std::move(changes));
  Json shown{{"name", text()}};
  shown.update(control::settings_schema(true));
  shown.update(Json{{"desired_enabled", described(flag(), "it listens when this is so and nobody holds it")},
                    {"revision", count()},
                    {"holds", list_of(schema_ref("Hold"))},
                    {"faults", list_of(schema_ref("Fault"))}});
  add_mark(shown);
  all["Proxy"] = whole(std::move(shown));
  all["Proxies"] = whole({{"proxies", list_of(schema_ref("Proxy"))}});
  all["Hold"] = whole({{"id", text()}, {"lease", or_null(text())}});
  all["Holds"] = whole({{"holds", list_of(schema_ref("Hold"))}, {"revision", count()}});
  all["Leases"] =
      whole({{"leases", list_of(whole({{"id", text()},
                                       {"proxies", list_of(text())},
                                       {"faults", list_of(whole({{"proxy", text()}, {"fault", text()}}))},
                                       {"holds", list_of(whole({{"proxy", text()}, {"hold", text()}}))}}))}});
}

void add_faults(Json& all) {
  for (const bool answered : {false, true}) {
    Json variants = Json::array();
    for (const auto* info : fault::catalog()) {
      const std::string name = (answered ? "Fault_" : "NewFault_") + std::string(info->type);
      all[name] = fault_schema(*info, answered);
      variants.push_back(schema_ref(name));
    }
    all[answered ? "Fault" : "NewFault"] = {{"oneOf", std::move(variants)}};
  }
  all["FaultChanges"] = fault_changes();
  all["Faults"] = whole({{"faults", list_of(schema_ref("Fault"))}, {"revision", count()}});
  const Json attribute = whole({{"name", text()},
                                {"doc", text()},
                                {"values", text()},
                                {"default", text()},
                                {"kind", text()},
                                {"words", list_of(text())},
                                {"optional", flag()}});
  all["Catalog"] = whole({{"faults", list_of(whole({{"type", text()},
                                                    {"doc", text()},
                                                    {"toxiproxy", flag()},
                                                    {"phase", choice({"accept", "connect", "stream"})},
                                                    {"direction", choice({"upstream", "downstream", "both"})},
                                                    {"attributes", list_of(attribute)}}))},
                          {"messages", list_of(whole({{"name", text()}, {"doc", text()}}))}});
}

void add_sessions(Json& all) {
  all["Session"] =
      whole({{"proxy", text()},
             {"session", count(1)},
             {"phase", choice({"accepted", "handshake", "resolving", "connecting", "relaying", "closing"})},
             {"client", text()},
             {"upstream", or_null(text())},
             {"age_seconds", number()},
             {"bytes_upstream", count()},
             {"bytes_downstream", count()},
             {"mean_rate_upstream", described(number(), "bytes per second since it was accepted")},
             {"mean_rate_downstream", number()},
             {"rate_upstream", described(or_null(number()),
                                         "bytes per second since the sessions were last asked for, if "
                                         "that was 0.2 s to 60 s ago")},
             {"rate_downstream", or_null(number())},
             {"faults", described(list_of(text()), "that came into force in its stream")}});
  all["Sessions"] = whole({{"sessions", list_of(schema_ref("Session"))}, {"left_out", count()}, {"partial", flag()}});
}

// Of a verdict, as `weir why` tells it.
auto verdict_fields() -> Json {
  Json names = text();
  names["enum"] = Json::array();
  for (const auto* cause : diagnose::causes()) names["enum"].push_back(cause->name);
  Json evidence{{"type", "object"}, {"additionalProperties", {{"type", "integer"}}}};
  return {{"session", count(1)},
          {"exchange", described(count(), "in the session, from 1; 0: before the first")},
          {"start", described(count(), "of the pause, in nanoseconds of the host's monotonic clock")},
          {"length_ns", count()},
          {"cause", described(std::move(names), "docs/causes.md")},
          {"side", choice({"client", "server", "path.client", "path.server", "weir"})},
          {"who", text()},
          {"towards", described(text(), "a client's server, where there may be several; else empty")},
          {"certainty", choice({"likely", "shown", "proven"})},
          {"evidence", described(std::move(evidence), "nanoseconds where the name ends in _ns, else counts and bytes")},
          {"fix", text()}};
}

void add_exchanges(Json& all, const Json& side, Json longest) {
  all["Exchange"] = whole(
      {{"proxy", text()},
       {"session", count(1)},
       {"exchange", described(count(), "in the session, from 1; 0: it is not connected yet")},
       {"client", or_null(text())},
       {"upstream", or_null(text())},
       {"start", count()},
       {"age_ns", count()},
       {"bytes_upstream", count()},
       {"bytes_downstream", count()},
       {"segment",
        choice({"connecting", "client_sends", "reads", "passes", "server_answers", "server_sends", "client_waits"})},
       {"side", described(side, "whose time goes on")},
       {"who", text()},
       {"held_ns", described(count(), "for so long nothing has come or gone that it waits for")},
       {"verdict", described(or_null(std::move(longest)), "of its longest pause so far, which may last")}});
  all["Exchanges"] = whole({{"exchanges", list_of(schema_ref("Exchange"))},
                            {"left_out", count()},
                            {"proxies", described(list_of(text()), "those that are diagnosed")}});
}

void add_diagnosis(Json& all) {
  Json verdict = verdict_fields();
  const Json cause = verdict["cause"];
  const Json side = verdict["side"];
  const Json certainty = verdict["certainty"];
  all["WorstPause"] = whole(verdict);
  verdict["text"] = described(text(), "what was done, without a subject");
  Json longest = whole(verdict);
  Json kept{{"id", count(1)}, {"proxy", text()}, {"time", described(number(), "when the pause began: seconds, UTC")}};
  kept.update(verdict);
  all["Verdict"] = whole(std::move(kept));
  all["Verdicts"] =
      whole({{"verdicts", list_of(schema_ref("Verdict"))},
             {"last", described(count(), "the id of the last verdict that there was, of any proxy")},
             {"missed", described(count(), "of all proxies: how many behind ?after= are forgotten, as so many came")}});
  const Json sum = whole({{"cause", cause},
                          {"side", side},
                          {"who", text()},
                          {"towards", text()},
                          {"certainty", certainty},
                          {"proof", text()},
                          {"times", count()},
                          {"lost_ns", count()},
                          {"share", number()},
                          {"p50_ns", count()},
                          {"p99_ns", count()},
                          {"text", text()},
                          {"fix", text()}});
  // Fields may be added.
  all["Report"] = {{"type", "object"},
                   {"required", {"sessions", "exchanges", "span_ns", "causes", "worst", "undecided", "unknown"}},
                   {"properties",
                    {{"sessions", count()},
                     {"exchanges", count()},
                     {"span_ns", count()},
                     {"exchange_ns", count()},
                     {"idle_ns", count()},
                     {"missed_events", count()},
                     {"causes", list_of(sum)},
                     {"worst", list_of(schema_ref("WorstPause"))},
                     {"undecided", list_of(Json{{"type", "object"}})},
                     {"unknown", {{"type", "object"}}},
                     {"lines", described(list_of(text()), "the same for people, where ?columns= was asked for")}}}};
  add_exchanges(all, side, std::move(longest));
}

}  // namespace

auto schema_ref(std::string_view name) -> Json { return {{"$ref", fmt::format("#/components/schemas/{}", name)}}; }

auto openapi_schemas() -> Json {
  Json all{{"Error",
            {{"type", "object"},
             {"required", {"error", "status"}},
             {"properties",
              {{"error", described(text(), "a sentence")},
               {"status", count(400)},
               {"field", described(text(), "which field is at fault, where one is")}}}}}};
  all["Version"] = whole({{"version", text()}, {"seed", count()}, {"revision", count()}, {"last_event", count()}});
  all["Health"] = whole({{"healthy", flag()}, {"loop_lag_seconds", number()}});
  all["Ready"] = whole({{"ready", flag()},
                        {"not_listening", list_of(text())},
                        {"outputs_not_written", list_of(whole({{"output", text()}, {"error", text()}}))},
                        {"observers_holding_up", described(list_of(schema_ref("ObserverHold")),
                                                           "with policy block, that have made no room for a second or "
                                                           "more while traffic waits for them")}});
  all["ObserverHold"] = whole({{"observer", described(text(), "where it writes to; or watch")},
                               {"reader", described(or_null(text()), "of a watch: its client's address")},
                               {"sessions", described(count(), "that stand still")},
                               {"listeners", described(count(), "that accept nobody; counted by worker")},
                               {"seconds", described(number(), "for so long it has made no room")},
                               {"message", described(text(), "a sentence with the way out")}});
  all["SettingCatalog"] = whole({{"settings", list_of(whole({{"name", text()},
                                                             {"kind", text()},
                                                             {"values", text()},
                                                             {"words", list_of(text())},
                                                             {"default", or_null(text())},
                                                             {"required", flag()},
                                                             {"may_be_off", flag()},
                                                             {"takes_effect", text()},
                                                             {"doc", text()}}))}});
  all["TimeoutCatalog"] =
      whole({{"timeouts",
              list_of(whole({{"name", text()}, {"default", text()}, {"may_be_off", flag()}, {"meaning", text()}}))}});
  all["Log"] = whole({{"level", choice({"debug", "info", "warning", "error"})},
                      {"format", choice({"text", "json"})},
                      {"targets", list_of(whole({{"target", text()},
                                                 {"up", flag()},
                                                 {"sent", count()},
                                                 {"dropped", count()},
                                                 {"waiting", count()},
                                                 {"trouble", or_null(text())}}))}});
  add_proxies(all);
  add_faults(all);
  add_sessions(all);
  add_diagnosis(all);
  return all;
}

}  // namespace weir::api
