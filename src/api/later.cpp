#include "api/later.h"

#include "api/answers.h"
#include "control/registry.h"

namespace weir::api {

auto WhenSettled::changes() const -> std::uint64_t { return registry_.engine().changes(); }

void WhenSettled::answer(const SharedResponder& responder, http::Response response, std::uint64_t before) const {
  engine::Engine& engine = registry_.engine();
  if (engine.is_settled()) return responder->answer(std::move(response));  // mutant: api-told-before-it-is-true
  engine.settle({loop_, control::loop_patience},
                [this, responder, held = std::make_shared<http::Response>(std::move(response)), before,
                 until = engine.changes()](bool) {
                  registry_.look_at_openings();
                  if (const auto failed = registry_.take_back_failed(before, until)) {
                    return responder->answer(refused_(*failed));
                  }
                  responder->answer(std::move(*held));
                });
}

void WhenSettled::answer(const std::shared_ptr<SharedAnswers::Batch>& batch, http::Response response,
                         const std::function<void(http::Response&)>& complete) const {
  registry_.engine().settle(
      {loop_, control::loop_patience},
      [this, batch, complete, held = std::make_shared<http::Response>(std::move(response))](bool) {
        registry_.look_at_openings();
        batch->answer(std::move(*held), complete);
      });
}

ListText::ListText(std::string_view key) { text_.end() = fmt::format("{{\"{}\":[", key); }

auto ListText::begin_one() -> std::string& {
  std::string& text = text_.end();
  if (!std::exchange(is_empty_, false)) text += ',';
  return text;
}

void ListText::add(const Json& each) { begin_one() += json_text(each); }

auto ListText::finish(const Json& rest) -> http::BodyPieces {
  std::string& text = text_.end();
  text += ']';
  if (rest.is_object() && !rest.empty()) {
    text += ',';
    text += std::string_view(json_text(rest)).substr(1);
  } else {
    text += '}';
  }
  text += '\n';
  return text_.take();
}

}  // namespace weir::api
