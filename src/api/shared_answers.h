// One answer for all who ask for the same at once.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/handler.h"
#include "net/event_loop.h"

namespace weir::api {

// Answers of one kind that cost much: every worker's loop is asked, or megabytes are written. At most one is being made
// at a time. Who asks meanwhile waits for the next one, together with all who ask for the same: an answer is never
// older than its request, and fifty clients that ask at once cost two answers. The control thread only.
class SharedAnswers {
  struct Queue;

 public:
  // Those who get one answer. Destroyed without one, each of them gets status 500.
  class Batch {
   public:
    // `next`: begins the next one.
    Batch(std::weak_ptr<Queue> queue, net::EventLoop::Prepared next)
        : queue_(std::move(queue)), next_(std::move(next)) {}
    ~Batch() { end(); }
    Batch(const Batch&) = delete;
    auto operator=(const Batch&) -> Batch& = delete;

    // False: all further work is for nobody.
    [[nodiscard]] auto is_awaited() const -> bool;
    // All of them share its body. `complete` adds what belongs to one of them alone.
    void answer(http::Response response, const std::function<void(http::Response&)>& complete = {});

   private:
    friend struct Queue;
    void end();
    std::weak_ptr<Queue> queue_;
    net::EventLoop::Prepared next_;
    std::vector<http::Responder> responders_;
  };
  // Begins to make an answer, on the loop. The next one begins when the batch has its answer or is gone.
  using Make = std::function<void(const std::shared_ptr<Batch>&)>;

  explicit SharedAnswers(net::EventLoop& loop);
  SharedAnswers(const SharedAnswers&) = delete;
  auto operator=(const SharedAnswers&) -> SharedAnswers& = delete;
  ~SharedAnswers() = default;

  // Who asks with the same `question` may be given the same answer. It is begun before this returns if no other is
  // being made.
  void ask(const std::string& question, http::Responder responder, Make make);

 private:
  std::shared_ptr<Queue> queue_;
};

}  // namespace weir::api
