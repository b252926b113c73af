#pragma once

#include <memory>
#include <thread>
#include <utility>

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

}  // namespace weir::engine
