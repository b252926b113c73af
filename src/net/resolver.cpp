#include "net/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace weir::net {
namespace {

auto look_up(const UpstreamAddress::Name& name) -> Result<Addresses> {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(name.host.c_str(), std::to_string(name.port).c_str(), &hints, &list);
  if (error != 0) {
    const std::string why = error == EAI_SYSTEM ? errno_text(errno) : std::string(::gai_strerror(error));
    return failure(fmt::format("cannot resolve \"{}\": {}", name.host, why));
  }
  Addresses out;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (auto address = Address::from_sockaddr(entry->ai_addr, entry->ai_addrlen)) out.push_back(*std::move(address));
  }
  ::freeaddrinfo(list);
  if (out.empty()) return failure(fmt::format("cannot resolve \"{}\": no address", name.host));
  return out;
}

}  // namespace

struct SystemResolver::Shared {
  struct Waiter {
    EventLoop* loop;
    Done done;
  };
  using Key = std::pair<std::string, std::uint16_t>;

  std::mutex mutex;
  std::condition_variable work;
  std::map<Key, std::vector<Waiter>> waiting;  // names queued or being looked up
  std::deque<Key> queue;
  unsigned threads = 0;
  unsigned idle = 0;
  bool closed = false;

  static void run(const std::shared_ptr<Shared>& self) {
    std::unique_lock lock(self->mutex);
    while (true) {
      ++self->idle;
      self->work.wait(lock, [&] { return self->closed || !self->queue.empty(); });
      --self->idle;
      if (self->closed) return;
      const Key key = self->queue.front();
      self->queue.pop_front();
      lock.unlock();
      const auto answer = look_up(UpstreamAddress::Name{key.first, key.second});
      lock.lock();
      auto waiters = std::move(self->waiting[key]);
      self->waiting.erase(key);
      // Under the lock: the destructor closes under it too, so a loop that is gone is never posted to.
      if (self->closed) return;
      for (Waiter& waiter : waiters) {
        waiter.loop->post([answer, done = std::move(waiter.done)] { done(answer); });
      }
    }
  }
};

SystemResolver::SystemResolver() : shared_(std::make_shared<Shared>()) {}

SystemResolver::~SystemResolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->closed = true;
  shared_->waiting.clear();
  shared_->work.notify_all();
}

// Under the mutex.
void SystemResolver::give_up(const UpstreamAddress::Name& name, int error) {
  const Shared::Key key{name.host, name.port};
  std::erase(shared_->queue, key);
  auto waiters = std::move(shared_->waiting[key]);
  shared_->waiting.erase(key);
  for (Shared::Waiter& waiter : waiters) {
    const auto answer = failure(
        fmt::format("cannot resolve \"{}\": no thread for the lookup: {}", name.host, errno_text(error)), error);
    waiter.loop->post([answer, done = std::move(waiter.done)] { done(answer); });
  }
}

void SystemResolver::resolve(const UpstreamAddress::Name& name, EventLoop& loop, Done done) {
  const std::lock_guard lock(shared_->mutex);
  Shared::Key key{name.host, name.port};
  auto& waiters = shared_->waiting[key];
  waiters.push_back({&loop, std::move(done)});
  if (waiters.size() > 1) return;  // shares the lookup under way
  shared_->queue.push_back(std::move(key));
  if (shared_->queue.size() > shared_->idle && shared_->threads < most_threads) {
    try {
      std::thread([shared = shared_] { Shared::run(shared); }).detach();
      ++shared_->threads;
    } catch (const std::system_error& error) {
      // No thread to be had (a container's pids limit). Where there is one it will come to this too.
      if (shared_->threads == 0) return give_up(name, error.code().value());
    }
  }
  shared_->work.notify_one();
}

}  // namespace weir::net
