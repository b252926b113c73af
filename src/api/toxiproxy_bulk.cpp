// toxiproxy's routes for all proxies at once: each goes in steps of one proxy (control/turns.h).
#include "api/answers.h"
#include "api/toxiproxy_json.h"
#include "api/toxiproxy_routes.h"
#include "control/bulk_changes.h"
#include "control/proxy_walk.h"
#include "control/registry.h"

namespace weir::api {
namespace {

auto json_answer(int status, std::string body, std::size_t hidden = 0) -> http::Response {
  http::Response answer;
  answer.status = status;
  answer.set("Content-Type", "application/json");
  if (hidden > 0) answer.set("X-Weir-Hidden-Faults", std::to_string(hidden));
  answer.body = std::move(body);
  return answer;
}

auto error_answer(const ToxiproxyError& why) -> http::Response {
  return json_answer(why.status, json_text({{"error", why.message}, {"status", why.status}}) + "\n");
}

}  // namespace

// An object with a member for each proxy.
void ToxiproxyRoutes::list(http::Responder responder) {
  shared_lists_.ask("", std::move(responder), [this](const std::shared_ptr<SharedAnswers::Batch>& batch) {
    lists_.add("GET /proxies", [this, batch, walk = control::ProxyWalk(registry_), text = std::string("{"),
                                hidden = std::size_t{0}]() mutable {
      if (!batch->is_awaited()) return false;
      if (const ProxyEntry* entry = walk.next()) {
        if (text.size() > 1) text += ',';
        text += json_text(entry->name);
        text += ':';
        text += json_text(toxiproxy_proxy(*entry));
        hidden += hidden_faults(*entry);
        return true;
      }
      when_settled_.answer(batch, json_answer(200, std::move(text) + "}", hidden),
                           [this](http::Response& own) { own.set("X-Toxiproxy-Request-Id", request_id()); });
      return false;
    });
  });
}

void ToxiproxyRoutes::reset(const SharedResponder& responder) {
  changes_.add("POST /reset", [this, responder, reset = control::Reset(registry_)]() mutable {
    if (reset.step()) return true;
    const auto& done = reset.outcome();
    answer(responder, done ? no_content() : error_answer(as_toxiproxy(done.error())));
    return false;
  });
}

// POST /populate: first every input is read, then every proxy made that is not there yet.
class ToxiproxyRoutes::Population {
 public:
  Population(Registry& registry, Json body) : registry_(registry), body_(std::move(body)) {}

  // False: it is done.
  auto step() -> bool {
    if (inputs_.size() < body_.size()) return read_one();
    if (checked_ < inputs_.size()) return check_one();  // mutant: api-populate-makes-before-it-has-read
    return made_ < inputs_.size() && make_one();
  }
  // Once it is done.
  auto answer() -> http::Response {
    if (refused_) return error_answer({.status = 400, .message = *refused_});
    const std::string proxies = done_.empty() ? "null" : "[" + done_ + "]";
    if (!failed_) return json_answer(201, fmt::format("{{\"proxies\":{}}}", proxies), hidden_);
    return json_answer(failed_->status, fmt::format("{{\"error\":{},\"status\":{},\"proxies\":{}}}\n",
                                                    json_text(failed_->message), failed_->status, proxies));
  }

 private:
  auto refuse(const std::string& why) -> bool {
    refused_ = why;
    return false;
  }
  auto read_one() -> bool {
    auto input = read_proxy(body_[inputs_.size()]);
    if (!input) return refuse("bad request body: " + input.error().message);
    inputs_.push_back(*std::move(input));
    return true;
  }
  auto check_one() -> bool {
    const auto good = check_required(inputs_[checked_], checked_);
    ++checked_;
    return good ? true : refuse(good.error().message);
  }
  auto make_one() -> bool {
    const ProxyInput& input = inputs_[made_++];
    const auto rules = make_rules(input);
    if (!rules) {
      failed_ = {.status = 500, .message = "listen tcp: " + rules.error().message};
      return false;
    }
    const auto entry = make(*input.name, *rules);
    if (!entry) {
      failed_ = as_toxiproxy(entry.error());
      return false;
    }
    if (!done_.empty()) done_ += ',';
    done_ += json_text(toxiproxy_proxy(**entry));
    hidden_ += hidden_faults(**entry);
    return true;
  }
  // What is there already and has the same addresses stays untouched, whatever else the input says.
  auto make(const std::string& name, const proxy::ProxyRules& rules) -> control::Outcome<const ProxyEntry*> {
    if (const ProxyEntry* there = registry_.find(name)) {
      const bool same_place = rules.listen == there->rules.listen || rules.listen.text == there->listen;
      if (same_place && rules.upstream == there->rules.upstream) return there;
      registry_.remove(name);
    }
    return registry_.create(name, rules);
  }

  Registry& registry_;
  Json body_;
  std::vector<ProxyInput> inputs_;
  std::size_t checked_ = 0;
  std::size_t made_ = 0;
  std::string done_;  // as the answer lists them
  std::size_t hidden_ = 0;
  std::optional<std::string> refused_;
  std::optional<ToxiproxyError> failed_;
};

void ToxiproxyRoutes::populate(const http::Request& request, const SharedResponder& responder) {
  auto body = parse_go_json(request.body);
  if (!body) {
    return answer(responder, error_answer({.status = 400, .message = "bad request body: " + body.error().message}));
  }
  if (const auto good = check_proxies(*body); !good) {
    return answer(responder, error_answer({.status = 400, .message = good.error().message}));
  }
  const auto population = std::make_shared<Population>(registry_, *std::move(body));
  changes_.add("POST /populate", [this, responder, population] {
    if (population->step()) return true;
    answer(responder, population->answer());
    return false;
  });
}

}  // namespace weir::api
