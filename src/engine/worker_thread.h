#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <variant>

#include "engine/engine.h"
#include "proxy/worker.h"

namespace weir::engine {

// A worker with its loop and its thread. The engine owns it.
struct Engine::WorkerThread {
  WorkerThread(std::unique_ptr<net::EventLoop> owned_loop, net::Resolver& resolver, std::uint32_t number)
      : loop(std::move(owned_loop)), worker(std::make_unique<proxy::Worker>(*loop, resolver, number)) {}
  std::unique_ptr<net::EventLoop> loop;
  std::unique_ptr<proxy::Worker> worker;
  std::thread thread;
};

template <class T>
void Engine::ask_workers(const Asker& asker, std::function<T(WorkerThread&)> question,
                         std::function<void(Answers<T>)> then) {
  if (running_) {
    return asks_.ask<T>(
        loops_, asker,
        [question = std::move(question), workers = &workers_](std::size_t i) { return question(*(*workers)[i]); },
        std::move(then));
  }
  Answers<T> answers;
  for (const auto& worker : workers_) answers.each.emplace_back(question(*worker));
  then(std::move(answers));
}

}  // namespace weir::engine
