// Server-sent events: what happened, and what happens from now on.
#include "api/answers.h"
#include "api/native_routes.h"
#include "api/requests.h"

namespace weir::api {

auto NativeRoutes::get_events(const http::Request& request, const Parts&) -> http::Response {
  auto from = request.header("last-event-id");
  const auto asked = request.query.find("after");
  if (from.empty() && asked != request.query.end()) from = asked->second;
  std::uint64_t id = events_.last_id();
  if (!from.empty()) {
    const auto number = parse_number(from);
    if (!number) return api_refusal(400, "Last-Event-ID: write the number of an event", "Last-Event-ID");
    id = *number;
  }
  if (const auto follow = request.query.find("follow"); follow != request.query.end() && follow->second == "false") {
    http::Response answer;
    answer.set("Content-Type", "text/event-stream");
    answer.body = events_.so_far(id);
    return answer;
  }
  auto stream = events_.follow(id);
  if (!stream) {
    return api_refusal(
        503, fmt::format("{} event streams are open already; close one first", control::EventLog::most_streams));
  }
  http::Response answer;
  answer.set("Content-Type", "text/event-stream");
  answer.set("Cache-Control", "no-store");
  answer.stream = std::move(stream);
  return answer;
}

}  // namespace weir::api
