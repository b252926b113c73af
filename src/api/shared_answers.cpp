#include "api/shared_answers.h"

#include <algorithm>

namespace weir::api {

struct SharedAnswers::Queue : std::enable_shared_from_this<Queue> {
  struct Waiting {
    std::string question;
    Make make;
    std::vector<http::Responder> responders;
  };
  explicit Queue(net::EventLoop& its_loop) : loop(its_loop) {}

  // Who asks, leaves and asks again would fill it.
  void forget_who_left() {
    for (Waiting& each : waiting) {
      std::erase_if(each.responders, [](const auto& responder) { return !responder.is_awaited(); });
    }
    std::erase_if(waiting, [](const Waiting& each) { return each.responders.empty(); });
  }
  void begin_next() {
    if (is_making) return;
    forget_who_left();
    if (waiting.empty()) return;
    // In a turn of its own, as who ends a batch may stand in the middle of what the next one asks. Made here, as a
    // batch may end in its destructor.
    const auto batch = std::make_shared<Batch>(weak_from_this(), net::EventLoop::prepare([weak = weak_from_this()] {
                                                 if (const auto queue = weak.lock()) queue->begin_next();
                                               }));
    Waiting next = std::move(waiting.front());
    waiting.pop_front();
    batch->responders_ = std::move(next.responders);
    is_making = true;
    next.make(batch);
  }
  void end_batch(net::EventLoop::Prepared begin_next_one) {
    is_making = false;
    loop.post(std::move(begin_next_one));
  }

  net::EventLoop& loop;
  std::deque<Waiting> waiting;
  bool is_making = false;
};

auto SharedAnswers::Batch::is_awaited() const -> bool {
  return std::ranges::any_of(responders_, [](const auto& responder) { return responder.is_awaited(); });
}

void SharedAnswers::Batch::answer(http::Response response, const std::function<void(http::Response&)>& complete) {
  http::BodyPieces body = std::move(response.shared_body);
  if (body.empty()) body.push_back(std::make_shared<const std::string>(std::move(response.body)));
  for (http::Responder& responder : responders_) {
    http::Response own{.status = response.status, .headers = response.headers, .shared_body = body};
    if (complete) complete(own);
    responder.answer(std::move(own));
  }
  end();
}

void SharedAnswers::Batch::end() {
  responders_.clear();
  if (const auto queue = std::exchange(queue_, {}).lock()) queue->end_batch(std::move(next_));
}

SharedAnswers::SharedAnswers(net::EventLoop& loop) : queue_(std::make_shared<Queue>(loop)) {}

void SharedAnswers::ask(const std::string& question, http::Responder responder, Make make) {
  Queue& queue = *queue_;
  queue.loop.assert_on_loop_thread();
  queue.forget_who_left();
  const auto found = std::ranges::find(queue.waiting, question, &Queue::Waiting::question);
  if (found != queue.waiting.end()) {
    found->responders.push_back(std::move(responder));
    return queue.begin_next();
  }
  queue.waiting.push_back({question, std::move(make), {}});
  queue.waiting.back().responders.push_back(std::move(responder));
  queue.begin_next();
}

}  // namespace weir::api
