// What the diagnosis says: reports, verdicts, and the exchanges that are open now.
#include "api/answers.h"
#include "api/native_routes.h"
#include "api/requests.h"
#include "control/diagnosis_json.h"
#include "control/registry.h"
#include "diagnose/report.h"

namespace weir::api {
namespace {

// Of a report as text.
constexpr std::uint64_t least_columns = 40;
constexpr std::uint64_t most_columns = 1000;

auto not_diagnosed(const ProxyEntry& entry) -> http::Response {
  return api_refusal(409,
                     fmt::format("proxy \"{}\" is not diagnosed: change its diagnose to true, and what passes from "
                                 "then on is",
                                 entry.name),
                     "diagnose");
}

auto name_of(const Registry& registry, ProxyId id) -> std::string {
  const ProxyEntry* entry = registry.find(id);
  return entry == nullptr ? "" : entry->name;
}

}  // namespace

auto NativeRoutes::get_report(const http::Request& request, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr || is_another(request, entry->mark)) return no_proxy(parts[0]);
  std::optional<std::uint64_t> columns;
  for (const auto& [key, value] : request.query) {
    if (key == "columns") columns = parse_number(value);
    if (!columns || *columns < least_columns || *columns > most_columns) {
      return api_refusal(400,
                         fmt::format("{}: there is columns alone, a number from {} to {}", key.substr(0, 64),
                                     least_columns, most_columns),
                         key.substr(0, 64));
    }
  }
  const auto report = diagnoses_.report(entry->id);
  if (!report) return not_diagnosed(*entry);
  Json answer = control::report_json(*report);
  if (columns) answer["lines"] = diagnose::report_lines(*report, *columns);
  return api_json(200, answer);
}

auto NativeRoutes::get_verdicts(const http::Request& request, const Parts&) -> http::Response {
  constexpr std::size_t limit = 100;
  auto query = read_list_query(request, registry_, limit, control::KeptVerdicts::remembered, {"after"});
  if (!query) return std::move(query.error());
  if (const auto* entry = query->proxy ? registry_.find(*query->proxy) : nullptr; entry && !entry->rules.diagnose) {
    return not_diagnosed(*entry);
  }
  std::optional<std::uint64_t> after;
  if (const auto asked = request.query.find("after"); asked != request.query.end()) {
    after = parse_number(asked->second);
    if (!after) return api_refusal(400, "after: write the id of a verdict, or 0", "after");
  }
  const auto answer = diagnoses_.verdicts(query->proxy, after, query->limit);
  Json all = Json::array();
  for (const auto& each : answer.verdicts) all.push_back(control::verdict_json(each, name_of(registry_, each.proxy)));
  return api_json(200, {{"verdicts", std::move(all)}, {"last", answer.last}, {"missed", answer.missed}});
}

auto NativeRoutes::get_exchanges(const http::Request& request, const Parts&) -> http::Response {
  auto query = read_list_query(request, registry_, most_exchanges_listed, most_exchanges_listed);
  if (!query) return std::move(query.error());
  if (const auto* entry = query->proxy ? registry_.find(*query->proxy) : nullptr; entry && !entry->rules.diagnose) {
    return not_diagnosed(*entry);
  }
  const auto open = diagnoses_.open_exchanges(query->proxy, query->limit);
  Json all = Json::array();
  for (const auto& each : open.exchanges) {
    all.push_back(control::exchange_json(each, name_of(registry_, each.proxy), open.now));
  }
  Json proxies = Json::array();
  for (const auto& [name, entry] : registry_.all()) {
    if (entry.rules.diagnose && (!query->proxy || entry.id == *query->proxy)) proxies.push_back(name);
  }
  return api_json(200, {{"exchanges", std::move(all)}, {"left_out", open.left_out}, {"proxies", std::move(proxies)}});
}

}  // namespace weir::api
