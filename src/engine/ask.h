// Questions to the workers' loops, for whom no answer is worth waiting for.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "net/event_loop.h"

namespace weir::engine {

// Who asks, and how long it waits for a loop that is late. `home` is the loop of the thread that asks: there the
// answers come back. It outlives the asked loops' threads.
struct Asker {
  net::EventLoop& home;
  Nanos patience;
};

// What the loops said.
template <class T>
struct Answers {
  std::vector<std::optional<T>> each;  // in the order of the loops; none: that one was late
  bool partial = false;                // one was
};

// The questions that are under way. Home thread only, which never waits: each loop writes its answer into a slot of its
// own, and the last one posts a task home. Nothing is locked while a loop answers.
class Asks {
 public:
  Asks() = default;
  Asks(const Asks&) = delete;
  auto operator=(const Asks&) -> Asks& = delete;
  // What is under way is forgotten: `then` is not called, and destroyed here.
  ~Asks() = default;

  // Has every loop run `question` with its place in `loops`, after what was posted to it before, and then calls `then`
  // on the home loop, once: when all have answered, or after the patience without those who are late, who need not
  // answer any more. `question` runs on all of the loops, perhaps at once, and is destroyed on any of them or at home:
  // it owns what it touches. `then` is called and destroyed at home alone.
  template <class T>
  void ask(const std::vector<net::EventLoop*>& loops, const Asker& asker, std::function<T(std::size_t)> question,
           std::function<void(Answers<T>)> then);
  // The same now.
  void forget() { const auto gone = std::exchange(waiting_, {}); }
  [[nodiscard]] auto under_way() const -> std::size_t { return waiting_.size(); }

 private:
  // One that waits at home.
  class Waiting : public net::Timer {
   public:
    virtual void finish() = 0;
    void on_timer() final { finish(); }
  };
  template <class T>
  class WaitingFor;

  std::map<const Waiting*, std::shared_ptr<Waiting>> waiting_;
};

// What home shares with the loops. A loop that is late finds it, however late, and writes into its own slot, at which
// nobody looks any more.
template <class T>
struct AnswerSlots {
  AnswerSlots(std::size_t count, std::function<T(std::size_t)> asked)
      : question(std::move(asked)), values(count), filled(count), left(count) {}
  const std::function<T(std::size_t)> question;
  std::vector<std::optional<T>> values;   // each is written by its loop alone, and read at home once it is filled
  std::vector<std::atomic<bool>> filled;  // by loop
  std::atomic<std::size_t> left;          // to be filled
  std::atomic<bool> is_over{false};       // what is not answered yet need not be
};

template <class T>
class Asks::WaitingFor final : public Asks::Waiting {
 public:
  WaitingFor(Asks& asks, std::shared_ptr<AnswerSlots<T>> slots, std::function<void(Answers<T>)> then)
      : asks_(asks), slots_(std::move(slots)), then_(std::move(then)) {}

  void finish() override {
    const auto own = asks_.waiting_.extract(this);  // alive to the end of this call
    slots_->is_over.store(true, std::memory_order_relaxed);
    Answers<T> answers;
    for (std::size_t i = 0; i < slots_->values.size(); ++i) {
      const bool is_there = slots_->filled[i].load(std::memory_order_acquire);  // mutant: ask-late-loop-counts-as-there
      answers.partial |= !is_there;
      answers.each.push_back(is_there ? std::move(slots_->values[i]) : std::nullopt);
    }
    then_(std::move(answers));
  }

 private:
  Asks& asks_;
  std::shared_ptr<AnswerSlots<T>> slots_;
  std::function<void(Answers<T>)> then_;
};

template <class T>
void Asks::ask(const std::vector<net::EventLoop*>& loops, const Asker& asker, std::function<T(std::size_t)> question,
               std::function<void(Answers<T>)> then) {
  asker.home.assert_on_loop_thread();
  if (loops.empty()) return then({});
  const auto slots = std::make_shared<AnswerSlots<T>>(loops.size(), std::move(question));
  const auto waiting = std::make_shared<WaitingFor<T>>(*this, slots, std::move(then));
  std::vector<net::EventLoop::Prepared> tasks;  // all are asked, or none
  tasks.reserve(loops.size());
  for (std::size_t i = 0; i < loops.size(); ++i) {
    // Only home makes the weak one strong, so that what waits there is destroyed there.
    tasks.push_back(net::EventLoop::prepare([slots, i, weak = std::weak_ptr<Waiting>(waiting), home = &asker.home] {
      if (slots->is_over.load(std::memory_order_relaxed)) return;
      slots->values[i].emplace(slots->question(i));
      slots->filled[i].store(true, std::memory_order_release);
      if (slots->left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      home->post([weak] {
        if (const auto asked = weak.lock()) asked->finish();
      });
    }));
  }
  waiting_.emplace(waiting.get(), waiting);
  asker.home.wheel().arm(*waiting, asker.home.now() + asker.patience);  // mutant: ask-home-waits-for-ever
  for (std::size_t i = 0; i < loops.size(); ++i) loops[i]->post(std::move(tasks[i]));
}

}  // namespace weir::engine
