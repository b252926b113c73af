// Live sessions.
#include "api/answers.h"
#include "api/native_routes.h"
#include "api/requests.h"
#include "control/registry.h"

namespace weir::api {
namespace {

auto phase_text(proxy::SessionPhase phase) -> std::string_view {
  switch (phase) {
    case proxy::SessionPhase::accepted: return "accepted";
    case proxy::SessionPhase::handshake: return "handshake";
    case proxy::SessionPhase::resolving: return "resolving";
    case proxy::SessionPhase::connecting: return "connecting";
    case proxy::SessionPhase::relaying: return "relaying";
    case proxy::SessionPhase::closing: return "closing";
  }
  return "";
}

auto session_json(const engine::SessionInfo& session, const std::string& proxy, std::optional<SessionRates::Rate> now)
    -> Json {
  const double age = std::chrono::duration<double>(session.age).count();
  const auto up = session.totals[index(Direction::upstream)].bytes;
  const auto down = session.totals[index(Direction::downstream)].bytes;
  const auto rate = [age](std::uint64_t bytes) { return age > 0 ? static_cast<double>(bytes) / age : 0.0; };
  return {{"proxy", proxy},
          {"session", static_cast<std::uint64_t>(session.number)},
          {"phase", phase_text(session.phase)},
          {"client", session.client.to_string()},
          {"upstream", session.upstream ? Json(session.upstream->to_string()) : Json()},
          {"age_seconds", age},
          {"bytes_upstream", up},
          {"bytes_downstream", down},
          {"mean_rate_upstream", rate(up)},
          {"mean_rate_downstream", rate(down)},
          {"rate_upstream", now ? Json(now->upstream) : Json()},
          {"rate_downstream", now ? Json(now->downstream) : Json()},
          {"faults", session.faults}};
}

}  // namespace

auto NativeRoutes::get_sessions(const http::Request& request, const Parts&) -> http::Response {
  std::optional<ProxyId> proxy;
  if (const auto asked = request.query.find("proxy"); asked != request.query.end()) {
    const ProxyEntry* entry = registry_.find(asked->second);
    if (entry == nullptr) return no_proxy(asked->second);
    proxy = entry->id;
  }
  std::size_t limit = 1000;
  if (const auto asked = request.query.find("limit"); asked != request.query.end()) {
    const auto number = parse_number(asked->second);
    if (!number || *number == 0 || *number > most_sessions_listed) {
      return api_refusal(400, fmt::format("limit: write a number from 1 to {}", most_sessions_listed), "limit");
    }
    limit = *number;
  }
  const auto list = registry_.engine().sessions(proxy, limit, control::loop_patience);
  std::map<ProxyId, std::string> names;
  for (const auto& [name, entry] : registry_.all()) names[entry.id] = name;
  Json sessions = Json::array();
  rates_.look(list, SystemClock::instance().mono());
  for (const auto& session : list.sessions) {
    sessions.push_back(session_json(session, names[session.proxy], rates_.of(session)));
  }
  return api_json(200, {{"sessions", std::move(sessions)}, {"left_out", list.left_out}, {"partial", list.partial}});
}

auto NativeRoutes::delete_session(const http::Request&, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  const auto number = parse_number(parts[1]);
  const bool closed =
      number && registry_.engine().close_session(entry->id, SessionNumber{*number}, "asked for through the API");
  if (!closed) return api_refusal(404, fmt::format("this proxy has no live session {}", parts[1].substr(0, 32)));
  http::Response answer;
  answer.status = 204;
  return answer;
}

}  // namespace weir::api
