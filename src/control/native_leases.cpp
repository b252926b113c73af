// The routes of our API for leases and for what only they carry: holds.
#include <algorithm>

#include "control/native_answers.h"
#include "control/native_routes.h"
#include "control/proxy_json.h"

namespace weir::control {

auto NativeRoutes::read_mark(const HttpRequest& request) const -> tl::expected<Mark, HttpAnswer> {
  Mark mark;
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

auto NativeRoutes::post_leases(const HttpRequest&, const Parts&) -> HttpAnswer {
  auto opened = leases_.open();
  if (!opened.stream) {
    return api_refusal(503, fmt::format("{} leases are held already; end one first", Leases::most_leases));
  }
  events_.add("lease.opened", {{"lease", opened.id}});
  HttpAnswer answer;
  answer.status = 201;
  answer.set("Content-Type", "text/event-stream");
  answer.set("Cache-Control", "no-store");
  answer.set("Weir-Lease", opened.id);
  answer.stream = std::move(opened.stream);
  return answer;
}

auto NativeRoutes::get_leases(const HttpRequest&, const Parts&) -> HttpAnswer {
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
    for (const Hold& hold : entry.holds) add(hold.lease, "holds", {{"proxy", name}, {"hold", hold.id}});
  }
  Json list = Json::array();
  for (auto& [id, lease] : all) list.push_back(std::move(lease));
  return api_json(200, {{"leases", std::move(list)}});
}

auto NativeRoutes::delete_lease(const HttpRequest&, const Parts& parts) -> HttpAnswer {
  if (!leases_.end(parts[0])) {
    return api_refusal(404, fmt::format("there is no lease \"{}\"", parts[0].substr(0, 64)));
  }
  HttpAnswer answer;
  answer.status = 204;
  return answer;
}

auto NativeRoutes::get_holds(const HttpRequest&, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  Json holds = Json::array();
  for (const Hold& hold : entry->holds) holds.push_back(hold_json(hold));
  return api_json(200, {{"holds", std::move(holds)}, {"revision", entry->revision}});
}

// A hold without a lease would be one that nobody takes back; who wants that disables the proxy.
auto NativeRoutes::post_holds(const HttpRequest& request, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  auto mark = read_mark(request);
  if (!mark) return std::move(mark.error());
  if (mark->lease.empty()) {
    return api_refusal(400, "Weir-Lease: a hold needs a lease; PATCH the proxy's enabled to close it for good",
                       "Weir-Lease");
  }
  const Hold hold{std::move(mark->id), std::move(mark->lease)};
  if (const auto held = registry_.hold(parts[0], hold); !held) {
    return api_refusal(held.error());
  }
  return api_json(201, hold_json(hold));
}

auto NativeRoutes::delete_hold(const HttpRequest&, const Parts& parts) -> HttpAnswer {
  if (registry_.find(parts[0]) == nullptr) return no_proxy(parts[0]);
  if (const auto released = registry_.release(parts[0], parts[1]); !released) {
    return api_refusal(released.error());
  }
  HttpAnswer answer;
  answer.status = 204;
  return answer;
}

}  // namespace weir::control
