// Answers that come in a later turn of the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/api.h"
#include "api/shared_answers.h"
#include "engine/ask.h"
#include "http/body_text.h"
#include "http/handler.h"

namespace weir::api {

// A responder where a std::function has to hold it.
using SharedResponder = std::shared_ptr<http::Responder>;
[[nodiscard]] inline auto share(http::Responder responder) -> SharedResponder {
  return std::make_shared<http::Responder>(std::move(responder));
}

// What a client is told of proxies and faults is true for its next byte: the answer goes out when every worker's loop
// has taken what was changed before it, or was later than control::loop_patience. The control thread goes on meanwhile.
// At once if all have. The control thread only; everything outlives the engine's run.
class WhenSettled {
 public:
  using Refused = std::function<http::Response(const Refusal&)>;
  // `refused` makes the answer if a proxy that the request opened turns out not to accept.
  WhenSettled(net::EventLoop& loop, Registry& registry, Refused refused)
      : loop_(loop), registry_(registry), refused_(std::move(refused)) {}

  // To note before a request is handled.
  [[nodiscard]] auto changes() const -> std::uint64_t;
  // `before`: changes() as it was; what was changed since was changed by this request.
  void answer(const SharedResponder& responder, http::Response response, std::uint64_t before) const;
  // Of what took many turns, or changed nothing.
  void answer(const SharedResponder& responder, http::Response response) const {
    answer(responder, std::move(response), changes());
  }
  // For an answer that many get.
  void answer(const std::shared_ptr<SharedAnswers::Batch>& batch, http::Response response,
              const std::function<void(http::Response&)>& complete = {}) const;

 private:
  net::EventLoop& loop_;
  Registry& registry_;
  Refused refused_;
};

// A JSON object with one list, put together piece by piece: {"proxies":[...],"left_out":0}.
class ListText {
 public:
  explicit ListText(std::string_view key);
  void add(const Json& each);
  // Begins one whose text is added to end(), here and with the calls that follow.
  auto begin_one() -> std::string&;
  [[nodiscard]] auto end() -> std::string& { return text_.end(); }
  // `rest`: an object of the members that follow the list; or null.
  [[nodiscard]] auto finish(const Json& rest = nullptr) -> http::BodyPieces;

 private:
  http::BodyText text_;
  bool is_empty_ = true;
};

}  // namespace weir::api
