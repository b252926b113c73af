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

void NativeRoutes::get_sessions(const http::Request& request, const Parts&, http::Responder responder) {
  std::optional<ProxyId> proxy;
  if (const auto asked = request.query.find("proxy"); asked != request.query.end()) {
    const ProxyEntry* entry = registry_.find(asked->second);
    if (entry == nullptr) return responder.answer(no_proxy(asked->second));
    proxy = entry->id;
  }
  std::size_t limit = 1000;
  if (const auto asked = request.query.find("limit"); asked != request.query.end()) {
    const auto number = parse_number(asked->second);
    if (!number || *number == 0 || *number > most_sessions_listed) {
      return responder.answer(
          api_refusal(400, fmt::format("limit: write a number from 1 to {}", most_sessions_listed), "limit"));
    }
    limit = *number;
  }
  const std::string question =
      fmt::format("{} of {}", limit, proxy ? std::to_string(static_cast<std::uint32_t>(*proxy)) : "all");
  session_lists_.ask(question, std::move(responder),
                     [this, proxy, limit](const std::shared_ptr<SharedAnswers::Batch>& batch) {
                       registry_.engine().sessions(asker(), proxy, limit, [this, batch](engine::SessionList list) {
                         rates_.look(list, SystemClock::instance().mono());
                         write_sessions(std::move(list), batch);
                       });
                     });
}

// Ten thousand of them take longer than a turn of the loop.
void NativeRoutes::write_sessions(engine::SessionList list, const std::shared_ptr<SharedAnswers::Batch>& batch) {
  const auto all = std::make_shared<const engine::SessionList>(std::move(list));
  lists_.add("GET /sessions",
             [this, all, batch, rates = rates_, at = std::size_t{0}, text = ListText("sessions")]() mutable {
               if (!batch->is_awaited()) return false;
               if (at < all->sessions.size()) {
                 const engine::SessionInfo& session = all->sessions[at++];
                 const ProxyEntry* entry = registry_.find(session.proxy);
                 text.add(session_json(session, entry == nullptr ? "" : entry->name, rates.of(session)));
                 return true;
               }
               batch->answer(api_pieces(200, text.finish({{"left_out", all->left_out}, {"partial", all->partial}})));
               return false;
             });
}

void NativeRoutes::delete_session(const http::Request&, const Parts& parts, http::Responder responder) {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return responder.answer(no_proxy(parts[0]));
  const auto unknown = [](const std::string& number) {
    return api_refusal(404, fmt::format("this proxy has no live session {}", number.substr(0, 32)));
  };
  const auto number = parse_number(parts[1]);
  if (!number) return responder.answer(unknown(parts[1]));
  using SessionEnd = engine::Engine::SessionEnd;
  registry_.engine().close_session(
      asker(), entry->id, SessionNumber{*number}, "asked for through the API",
      [unknown, text = parts[1], answer = share(std::move(responder))](SessionEnd end) {
        switch (end) {
          case SessionEnd::closing: return answer->answer(no_content());
          case SessionEnd::unknown: return answer->answer(unknown(text));
          case SessionEnd::late:
            return answer->answer(api_refusal(503,
                                              "a worker did not answer in time, and no other has this session: "
                                              "ask again later"));
        }
      });
}

}  // namespace weir::api
