#include "api/toxiproxy_routes.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>

#include "api/answers.h"
#include "api/go_address.h"
#include "api/toxiproxy_json.h"
#include "control/registry.h"
#include "http/percent.h"

namespace weir::api {
namespace {

using fault::FaultSpec;

auto plain(int status, std::string body) -> http::Response {
  http::Response answer;
  answer.status = status;
  answer.set("Content-Type", "text/plain; charset=utf-8");
  answer.set("X-Content-Type-Options", "nosniff");
  answer.body = std::move(body);
  return answer;
}

auto not_found() -> http::Response { return plain(404, "404 page not found\n"); }

auto wrong_method() -> http::Response {
  http::Response answer;
  answer.status = 405;
  return answer;
}

auto json(int status, const Json& body) -> http::Response {
  http::Response answer;
  answer.status = status;
  answer.set("Content-Type", "application/json");
  answer.body = json_text(body);
  return answer;
}

auto refusal(const ToxiproxyError& why) -> http::Response {
  auto answer = json(why.status, {{"error", why.message}, {"status", why.status}});
  answer.body += '\n';
  return answer;
}

auto refusal(int status, std::string message) -> http::Response {
  return refusal(ToxiproxyError{status, std::move(message)});
}

void count_hidden(http::Response& answer, std::size_t hidden) {
  if (hidden > 0) answer.set("X-Weir-Hidden-Faults", std::to_string(hidden));
}

auto proxy_answer(int status, const ProxyEntry& entry) -> http::Response {
  auto answer = json(status, toxiproxy_proxy(entry));
  count_hidden(answer, hidden_faults(entry));
  return answer;
}

auto is_update(const http::Request& request) -> bool { return request.method == "POST" || request.method == "PATCH"; }

// "/proxies/a%20b/toxics" as {"proxies", "a b", "toxics"}; a trailing slash leaves an empty last part.
auto split_path(std::string_view path) -> std::vector<std::string> {
  std::vector<std::string> parts;
  if (!path.starts_with('/')) return parts;
  path.remove_prefix(1);
  while (true) {
    const auto slash = path.find('/');
    parts.push_back(http::percent_decode(path.substr(0, slash)));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

auto comes_from_a_browser(const http::Request& request) -> bool {
  return request.header("user-agent").starts_with("Mozilla/") || request.headers.contains("origin") ||
         request.headers.contains("sec-fetch-site");
}

ToxiproxyRoutes::ToxiproxyRoutes(const control::ApiParts& parts, std::string weir_version)
    : registry_(parts.registry),
      changes_(parts.changes),
      lists_(parts.lists),
      shared_lists_(parts.loop),
      weir_version_(std::move(weir_version)),
      when_settled_(parts.loop, registry_, [this](const Refusal& why) {
        auto answer = refusal(as_toxiproxy(why));
        answer.set("X-Toxiproxy-Request-Id", request_id());
        return answer;
      }) {}

// 20 characters of base32hex as rs/xid makes them: the time in seconds, the process, a counter.
auto ToxiproxyRoutes::request_id() -> std::string {
  static constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuv";
  const auto seconds = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
  const auto process = static_cast<std::uint32_t>(::getpid());
  ++counter_;
  std::array<std::uint8_t, 13> bytes{};  // 12 and a zero that the last digit's missing bits come from
  for (unsigned i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(seconds >> (24 - 8 * i));
  for (unsigned i = 0; i < 4; ++i) bytes[5 + i] = static_cast<std::uint8_t>(process >> (24 - 8 * i));
  for (unsigned i = 0; i < 3; ++i) bytes[9 + i] = static_cast<std::uint8_t>(counter_ >> (16 - 8 * i));
  std::string id;
  for (unsigned bit = 0; bit < 100; bit += 5) {
    const unsigned pair = static_cast<unsigned>(bytes[bit / 8]) << 8 | bytes[bit / 8 + 1];
    id += digits[(pair >> (11 - bit % 8)) & 31];
  }
  return id;
}

void ToxiproxyRoutes::answer(const SharedResponder& responder, http::Response response, std::uint64_t before) {
  response.set("X-Toxiproxy-Request-Id", request_id());
  when_settled_.answer(responder, std::move(response), before);
}

void ToxiproxyRoutes::answer(const SharedResponder& responder, http::Response response) {
  answer(responder, std::move(response), when_settled_.changes());
}

auto ToxiproxyRoutes::refuse_browser(const http::Request& head) -> std::optional<http::Response> {
  if (!comes_from_a_browser(head)) return std::nullopt;
  auto answer = plain(403, "User agent not allowed\n");
  answer.set("X-Toxiproxy-Request-Id", request_id());
  return answer;
}

auto ToxiproxyRoutes::takes_turns(const http::Request& request) const -> bool {
  if (comes_from_a_browser(request)) return false;
  const auto parts = split_path(request.path);
  if (parts.size() != 1) return false;
  return request.method == "POST" ? parts[0] == "populate" || parts[0] == "reset"
                                  : request.method == "GET" && parts[0] == "proxies";
}

auto ToxiproxyRoutes::shown_proxy(const http::Request& request) const -> const ProxyEntry* {
  if (request.method != "GET" || comes_from_a_browser(request)) return nullptr;
  const auto parts = split_path(request.path);
  const bool is_one = parts.size() == 2 || (parts.size() == 3 && parts[2] == "toxics");
  return is_one && parts[0] == "proxies" && !parts[1].empty() ? registry_.find(parts[1]) : nullptr;
}

void ToxiproxyRoutes::handle(const http::Request& request, http::Responder responder) {
  if (takes_turns(request)) {
    // Who asks again and again, and does not wait for what it asked before, would have us keep all of it.
    if (request.method == "POST" && changes_.waiting() >= control::Turns::most_asked_for) {
      return responder.answer(refusal(503, "too many changes wait for their turn: ask again later"));
    }
    if (request.method == "GET") return list(std::move(responder));
    const SharedResponder shared = share(std::move(responder));
    return split_path(request.path)[0] == "reset" ? reset(shared) : populate(request, shared);
  }
  if (const ProxyEntry* entry = shown_proxy(request)) {
    const bool is_whole = split_path(request.path).size() == 2;
    return is_whole ? show_proxy(*entry, share(std::move(responder)))
                    : show_toxics(*entry, share(std::move(responder)));
  }
  const auto before = when_settled_.changes();
  auto response = route(request);
  if (!response) return responder.answer(not_found());
  if (response->status == 405) return responder.answer(*std::move(response));
  if (comes_from_a_browser(request)) response = plain(403, "User agent not allowed\n");
  if (request.path == "/version") {
    response->set("X-Toxiproxy-Request-Id", request_id());
    return responder.answer(*std::move(response));
  }
  answer(share(std::move(responder)), *std::move(response), before);
}

auto ToxiproxyRoutes::route(const http::Request& request) -> std::optional<http::Response> {
  const auto parts = split_path(request.path);
  const std::string& method = request.method;
  const bool refused = comes_from_a_browser(request);  // before anything is done; handle() says so
  const auto first = parts.empty() ? std::string() : parts[0];
  if (parts.size() == 1) {
    if (first == "version") {
      if (method != "GET") return wrong_method();
      http::Response answer;
      answer.set("Content-Type", "application/json;charset=utf-8");
      answer.set("X-Weir-Version", weir_version_);
      answer.body = fmt::format("{{\"version\": \"{}\"}}\n", version);
      return answer;
    }
    if (first == "reset" || first == "populate") {
      // What a browser asks is for handle() to refuse; the others are answered in turns.
      return method == "POST" ? http::Response{} : wrong_method();
    }
    if (first != "proxies") return std::nullopt;
    if (method == "GET") return http::Response{};  // the same
    if (method != "POST") return wrong_method();
    return refused ? http::Response{} : create(request);
  }
  if (first != "proxies" || parts.size() > 4 || parts[1].empty()) return std::nullopt;
  if (parts.size() > 2 && parts[2] != "toxics") return std::nullopt;
  if (parts.size() == 4 && parts[3].empty()) return std::nullopt;
  const bool known =
      method == "GET" || method == "POST" || (parts.size() != 3 && (method == "PATCH" || method == "DELETE"));
  if (!known) return wrong_method();
  if (refused) return http::Response{};
  const ProxyEntry* entry = registry_.find(parts[1]);
  if (entry == nullptr) return refusal(404, "proxy not found");
  if (method == "GET" && parts.size() < 4) return http::Response{};  // shown_proxy() has seen to it
  if (parts.size() == 2) return one_proxy(request, *entry);
  return parts.size() == 3 ? add_toxic(request, *entry) : one_toxic(request, *entry, parts[3]);
}

auto ToxiproxyRoutes::create(const http::Request& request) -> http::Response {
  const auto body = parse_go_json(request.body);
  if (!body) return refusal(400, "bad request body: " + body.error().message);
  auto input = read_proxy(*body);
  if (!input) return refusal(400, "bad request body: " + input.error().message);
  if (input->name.value_or("").empty()) return refusal(400, "missing required field: name");
  if (input->upstream.value_or("").empty()) return refusal(400, "missing required field: upstream");
  if (registry_.find(*input->name) != nullptr) return refusal(409, "proxy already exists");
  auto rules = make_rules(*input);
  if (!rules) return refusal(500, "listen tcp: " + rules.error().message);
  const auto entry = registry_.create(*input->name, *std::move(rules));
  return entry ? proxy_answer(201, **entry) : refusal(as_toxiproxy(entry.error()));
}

auto ToxiproxyRoutes::one_proxy(const http::Request& request, const ProxyEntry& entry) -> http::Response {
  if (is_update(request)) return change(request, entry);
  registry_.remove(entry.name);
  return no_content();
}

auto ToxiproxyRoutes::change(const http::Request& request, const ProxyEntry& entry) -> http::Response {
  const auto body = parse_go_json(request.body);
  if (!body) return refusal(400, "bad request body: " + body.error().message);
  const auto input = read_proxy(*body);
  if (!input) return refusal(400, "bad request body: " + input.error().message);
  proxy::ProxyRules rules = entry.rules;
  if (input->listen && *input->listen != entry.listen) {
    auto listen = parse_go_listen(*input->listen);
    if (!listen) return refusal(500, listen.error().message);
    rules.listen = *std::move(listen);
  }
  if (input->upstream && *input->upstream != entry.rules.upstream.text) {
    rules.upstream = parse_go_upstream(*input->upstream);
  }
  rules.enabled = input->enabled.value_or(entry.rules.enabled);
  const auto changed = registry_.change_as_toxiproxy(entry.name, std::move(rules));
  return changed ? proxy_answer(200, **changed) : refusal(as_toxiproxy(changed.error()));
}

auto ToxiproxyRoutes::add_toxic(const http::Request& request, const ProxyEntry& entry) -> http::Response {
  const auto body = parse_go_json(request.body);
  if (!body) return refusal(400, "bad request body: " + body.error().message);
  const auto input = read_toxic(*body);
  if (!input) return refusal(400, "bad request body: " + input.error().message);
  const auto stream = parse_stream(input->stream.value_or("downstream"));
  if (!stream) return refusal(400, "stream was invalid, can be either upstream or downstream");
  const std::string type = input->type.value_or("");
  const std::string name = input->name.value_or("").empty()
                               ? fmt::format("{}_{}", type, input->stream.value_or("downstream"))
                               : *input->name;
  auto spec = fault::make_classic(type, name, *stream, input->toxicity.value_or(1.0));
  if (!spec) return refusal(400, spec.error().message);
  if (entry.faults->find(name) != nullptr) return refusal(409, "toxic already exists");
  if (auto set = set_attributes(*spec, input->attributes); !set) return refusal(400, set.error().message);
  auto list = entry.faults->with(*std::move(spec));
  if (!list) return refusal(409, list.error().message);
  registry_.set_faults(entry.name, *std::move(list), {"fault.added", entry.name, name, 0});
  registry_.note_stream_text(entry.name, name, input->stream.value_or("downstream"));
  return json(200, toxiproxy_toxic(entry, *entry.faults->find(name)));
}

auto ToxiproxyRoutes::one_toxic(const http::Request& request, const ProxyEntry& entry, const std::string& name)
    -> http::Response {
  const FaultSpec* spec = entry.faults->find(name);
  if (spec == nullptr || !fault::classic_attributes(*spec)) return refusal(404, "toxic not found");
  if (request.method == "GET") return json(200, toxiproxy_toxic(entry, *spec));
  if (is_update(request)) return change_toxic(request, entry, *spec);
  auto list = entry.faults->without(name);
  if (!list) return refusal(404, "toxic not found");
  registry_.set_faults(entry.name, *std::move(list), {"fault.removed", entry.name, name, 0});
  return no_content();
}

auto ToxiproxyRoutes::change_toxic(const http::Request& request, const ProxyEntry& entry, const FaultSpec& now)
    -> http::Response {
  const auto body = parse_go_json(request.body);
  if (!body) return refusal(400, "bad request body: " + body.error().message);
  const auto input = read_toxic(*body);
  if (!input) return refusal(400, "bad request body: " + input.error().message);
  FaultSpec spec = now;
  const std::string name = spec.name;
  if (input->toxicity) spec.probability = *input->toxicity;
  if (auto set = set_attributes(spec, input->attributes); !set) return refusal(400, set.error().message);
  auto list = entry.faults->changed(std::move(spec));
  if (!list) return refusal(404, "toxic not found");
  registry_.set_faults(entry.name, *std::move(list), {"fault.changed", entry.name, name, 0});
  return json(200, toxiproxy_toxic(entry, *entry.faults->find(name)));
}

}  // namespace weir::api
