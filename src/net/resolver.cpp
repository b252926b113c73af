#include "net/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/out_of_memory.h"

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
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(list, &::freeaddrinfo);
  Addresses out;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (auto address = Address::from_sockaddr(entry->ai_addr, entry->ai_addrlen)) out.push_back(*std::move(address));
  }
  if (out.empty()) return failure(fmt::format("cannot resolve \"{}\": no address", name.host));
  return out;
}

// Shared, and never copied: tl::expected ends the process where there is no memory for a copy of itself.
using Answer = std::shared_ptr<const Result<Addresses>>;

auto failed(const std::string& host, std::string_view why, int error) -> Answer {
  return std::make_shared<const Result<Addresses>>(
      failure(fmt::format("cannot resolve \"{}\": {}: {}", host, why, errno_text(error)), error));
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
      const Key key = std::move(self->queue.front());
      self->queue.pop_front();
      lock.unlock();
      Answer answer;
      (void)contained([&] {
        answer = std::make_shared<const Result<Addresses>>(look_up(UpstreamAddress::Name{key.first, key.second}));
      });
      lock.lock();
      // Under the lock: the destructor closes under it too, so a loop that is gone is never posted to.
      if (self->closed) return;
      // Sessions wait for it, and nobody else will answer them: where there is no memory for the answer, it comes when
      // there is some again.
      while (!contained([&] { self->answer(key, answer); })) {
        self->work.wait_for(lock, std::chrono::milliseconds{50}, [&] { return self->closed; });
        if (self->closed) return;
      }
    }
  }

  // Under the mutex. All who wait are answered, or none.
  void answer(const Key& key, Answer what) {
    const auto found = waiting.find(key);
    if (found == waiting.end()) return;
    if (what == nullptr) what = failed(key.first, "no memory for the lookup", ENOMEM);
    std::vector<EventLoop::Prepared> ready;
    ready.reserve(found->second.size());
    for (const Waiter& waiter : found->second) {
      ready.push_back(EventLoop::prepare([what, done = waiter.done] { done(*what); }));
    }
    for (std::size_t i = 0; i < ready.size(); ++i) found->second[i].loop->post(std::move(ready[i]));
    waiting.erase(found);
  }
};

namespace {

// Has the C library read its rules (nsswitch.conf) and load what they name, once: where memory runs out in its first
// lookup, glibc 2.36 ends the process or finds no name from then on. It looks into /etc/hosts and asks no server.
void load_rules() {
  static const bool loaded = [] {
    ::sethostent(0);
    (void)::gethostent();
    ::endhostent();
    return true;
  }();
  (void)loaded;
}

}  // namespace

SystemResolver::SystemResolver() : shared_(std::make_shared<Shared>()) { load_rules(); }

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
  try {
    shared_->answer(key, failed(name.host, "no thread for the lookup", error));
  } catch (const std::bad_alloc&) {
    shared_->waiting.erase(key);  // nobody is going to look it up: who asks next begins anew
    throw;
  }
}

void SystemResolver::resolve(const UpstreamAddress::Name& name, EventLoop& loop, Done done) {
  const std::lock_guard lock(shared_->mutex);
  const Shared::Key key{name.host, name.port};
  auto& waiters = shared_->waiting[key];
  const bool is_first = waiters.empty();
  try {
    waiters.push_back({&loop, std::move(done)});
    if (!is_first) return;  // shares the lookup under way
    shared_->queue.push_back(key);
  } catch (const std::bad_alloc&) {
    // Nobody is going to look it up: who asks next begins anew.
    if (is_first) shared_->waiting.erase(key);
    throw;
  }
  if (shared_->queue.size() > shared_->idle && shared_->threads < most_threads) {
    try {
      std::thread([shared = shared_] { Shared::run(shared); }).detach();
      ++shared_->threads;
    } catch (const std::system_error& error) {
      // No thread to be had (a container's pids limit). Where there is one it will come to this too.
      if (shared_->threads == 0) return give_up(name, error.code().value());
    } catch (const std::bad_alloc&) {
      if (shared_->threads == 0) return give_up(name, ENOMEM);
    }
  }
  shared_->work.notify_one();
}

}  // namespace weir::net
