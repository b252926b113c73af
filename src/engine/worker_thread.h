#pragma once

#include <memory>
#include <thread>
#include <utility>

#include "engine/engine.h"
#include "proxy/worker.h"

namespace weir::engine {

// A worker with its loop and its thread. The engine owns it.
struct Engine::WorkerThread {
  WorkerThread(std::unique_ptr<net::EventLoop> owned_loop, net::Resolver& resolver)
      : loop(std::move(owned_loop)), worker(std::make_unique<proxy::Worker>(*loop, resolver)) {}
  std::unique_ptr<net::EventLoop> loop;
  std::unique_ptr<proxy::Worker> worker;
  std::thread thread;
};

}  // namespace weir::engine
