// toxiproxy's routes for all proxies at once: each goes in steps of one proxy (control/turns.h).
#include "api/answers.h"
#include "api/proxy_text.h"
#include "api/toxiproxy_json.h"
#include "api/toxiproxy_routes.h"
#include "control/bulk_changes.h"
#include "control/proxy_walk.h"
#include "control/registry.h"

namespace weir::api {
namespace {

auto json_answer(int status, http::BodyPieces body, std::size_t hidden = 0) -> http::Response {
  http::Response answer;
  answer.status = status;
  answer.set("Content-Type", "application/json");
  if (hidden > 0) answer.set("X-Weir-Hidden-Faults", std::to_string(hidden));
  answer.shared_body = std::move(body);
  return answer;
}

auto piece(std::string text) -> std::shared_ptr<const std::string> {
  return std::make_shared<const std::string>(std::move(text));
}

auto error_answer(const ToxiproxyError& why) -> http::Response {
  return json_answer(why.status, {piece(json_text({{"error", why.message}, {"status", why.status}}) + "\n")});
}

}  // namespace

// An object with a member for each proxy.
void ToxiproxyRoutes::list(http::Responder responder) {
  shared_lists_.ask("", std::move(responder), [this](const std::shared_ptr<SharedAnswers::Batch>& batch) {
    lists_.add("GET /proxies",
               [this, batch, walk = control::ProxyWalk(registry_), text = http::BodyText(),
                proxy = std::optional<ToxiproxyText>(), before = '{', hidden = std::size_t{0}]() mutable {
                 if (!batch->is_awaited()) return false;
                 if (proxy) {
                   if (proxy->write_some(text.end())) return true;
                   hidden += proxy->hidden();
                   proxy.reset();
                   return true;
                 }
                 if (const ProxyEntry* entry = walk.next()) {
                   text.end() += std::exchange(before, ',');
                   text.end() += json_text(entry->name) + ':';
                   proxy.emplace(*entry);
                   return true;
                 }
                 text.end() += before == '{' ? "{}" : "}";
                 when_settled_.answer(batch, json_answer(200, text.take(), hidden),
                                      [this](http::Response& own) { own.set("X-Toxiproxy-Request-Id", request_id()); });
                 return false;
               });
  });
}

void ToxiproxyRoutes::show_proxy(const ProxyEntry& entry, const SharedResponder& responder) {
  lists_.add("GET /proxies/NAME", [this, responder, text = http::BodyText(), proxy = ToxiproxyText(entry)]() mutable {
    if (!responder->is_awaited()) return false;
    if (proxy.write_some(text.end())) return true;
    answer(responder, json_answer(200, text.take(), proxy.hidden()));
    return false;
  });
}

void ToxiproxyRoutes::show_toxics(const ProxyEntry& entry, const SharedResponder& responder) {
  http::BodyText text;
  text.end() = "[";
  lists_.add("GET /proxies/NAME/toxics",
             [this, responder, text = std::move(text), toxics = ToxicsText(entry)]() mutable {
               if (!responder->is_awaited()) return false;
               if (toxics.write_some(text.end())) return true;
               text.end() += ']';
               answer(responder, json_answer(200, text.take(), toxics.hidden()));
               return false;
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
    if (writing_) {
      if (writing_->write_some(done_.end())) return true;
      hidden_ += writing_->hidden();
      writing_.reset();
      return true;
    }
    return made_ < inputs_.size() && make_one();
  }
  // Once it is done.
  auto answer() -> http::Response {
    if (refused_) return error_answer({.status = 400, .message = *refused_});
    done_.end() += is_any_done_ ? "]}" : "null}";
    if (failed_) done_.end() += '\n';
    const std::string error =
        failed_ ? fmt::format("\"error\":{},\"status\":{},", json_text(failed_->message), failed_->status)
                : std::string();
    http::BodyPieces body{piece("{" + error + "\"proxies\":")};
    for (auto& each : done_.take()) body.push_back(std::move(each));
    return failed_ ? json_answer(failed_->status, std::move(body)) : json_answer(201, std::move(body), hidden_);
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
    done_.end() += std::exchange(is_any_done_, true) ? ',' : '[';
    writing_.emplace(**entry);
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
  http::BodyText done_;  // as the answer lists them
  bool is_any_done_ = false;
  std::optional<ToxiproxyText> writing_;  // the last of them
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
