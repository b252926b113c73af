// Leases, and the marks that carry them.
#include <algorithm>

#include "api/answers.h"
#include "api/native_routes.h"
#include "control/proxy_json.h"
#include "control/registry.h"

namespace weir::api {

auto NativeRoutes::read_mark(const http::Request& request) const -> tl::expected<control::Mark, http::Response> {
  control::Mark mark;
  if (const auto id = request.header("weir-id"); !id.empty()) {
    const bool good =
        id.size() <= 64 && std::ranges::all_of(id, [](char c) {
          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
        });
    if (!good) {
      return tl::make_unexpected(api_refusal(400, "Weir-Id: write at most 64 letters, digits, - and _", "Weir-Id"));
    }
    mark.id = std::string(id);
  }
  mark.lease = std::string(request.header("weir-lease"));
  if (!mark.lease.empty() && !leases_.is_held(mark.lease)) {
    return tl::make_unexpected(api_refusal(
        409, "Weir-Lease: this lease is not held: its connection has closed, or it was ended", "Weir-Lease"));
  }
  return mark;
}

auto NativeRoutes::post_leases(const http::Request&, const Parts&) -> http::Response {
  auto opened = leases_.open();
  if (!opened.stream) {
    return api_refusal(503, fmt::format("{} leases are held already; end one first", control::Leases::most_leases));
  }
  events_.add("lease.opened", {{"lease", opened.id}});
  http::Response answer;
  answer.status = 201;
  answer.set("Content-Type", "text/event-stream");
  answer.set("Cache-Control", "no-store");
  answer.set("Weir-Lease", opened.id);
  answer.stream = std::move(opened.stream);
  return answer;
}

auto NativeRoutes::get_leases(const http::Request&, const Parts&) -> http::Response {
  std::map<std::string_view, Json> all;
  for (const auto& [id, since] : leases_.held()) {
    all[id] = {{"id", id}, {"proxies", Json::array()}, {"faults", Json::array()}, {"holds", Json::array()}};
  }
  const auto add = [&](const std::string& lease, const char* kind, Json what) {
    if (const auto found = all.find(lease); found != all.end()) found->second[kind].push_back(std::move(what));
  };
  for (const auto& [name, entry] : registry_.all()) {
    add(entry.mark.lease, "proxies", name);
    for (const auto& [fault, mark] : entry.fault_marks) add(mark.lease, "faults", {{"proxy", name}, {"fault", fault}});
    for (const control::Hold& hold : entry.holds) add(hold.lease, "holds", {{"proxy", name}, {"hold", hold.id}});
  }
  Json list = Json::array();
  for (auto& [id, lease] : all) list.push_back(std::move(lease));
  return api_json(200, {{"leases", std::move(list)}});
}

void NativeRoutes::delete_lease(const http::Request&, const Parts& parts, http::Responder responder) {
  if (!leases_.is_held(parts[0])) {
    return responder.answer(api_refusal(404, fmt::format("there is no lease \"{}\"", parts[0].substr(0, 64))));
  }
  leases_.end(parts[0], [this, answer = share(std::move(responder))] { when_settled_.answer(answer, no_content()); });
}

}  // namespace weir::api
