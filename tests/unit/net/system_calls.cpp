#include "net/system_calls.h"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/epoll.h>

#include <cerrno>
#include <string_view>

namespace weir::net::test {

std::atomic<int> pwait2_error{0};
std::atomic<int> pwait2_calls{0};

auto NameServer::instance() -> NameServer& {
  static NameServer server;
  return server;
}

void NameServer::reset() {
  const std::lock_guard lock(mutex_);
  open_ = true;
  asked_ = waiting_ = answered_ = 0;
  opened_.notify_all();
}

void NameServer::close_gate() {
  const std::lock_guard lock(mutex_);
  open_ = false;
}

void NameServer::open_gate() {
  const std::lock_guard lock(mutex_);
  open_ = true;
  opened_.notify_all();
}

auto NameServer::asked() const -> int {
  const std::lock_guard lock(mutex_);
  return asked_;
}

auto NameServer::waiting() const -> int {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

auto NameServer::answered() const -> int {
  const std::lock_guard lock(mutex_);
  return answered_;
}

void NameServer::pass_through() {
  std::unique_lock lock(mutex_);
  ++asked_;
  ++waiting_;
  opened_.wait(lock, [this] { return open_; });
  --waiting_;
  ++answered_;
}

namespace {

template <class Function>
auto real(const char* name) -> Function* {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace
}  // namespace weir::net::test

extern "C" {

auto epoll_pwait2(int epoll, epoll_event* events, int most, const timespec* timeout, const sigset_t* mask) -> int {
  using namespace weir::net::test;
  ++pwait2_calls;
  if (const int error = pwait2_error.load(); error != 0) {
    errno = error;
    return -1;
  }
  static auto* const next = real<int(int, epoll_event*, int, const timespec*, const sigset_t*)>("epoll_pwait2");
  return next(epoll, events, most, timeout, mask);
}

auto getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** list) -> int {
  using namespace weir::net::test;
  static auto* const next = real<int(const char*, const char*, const addrinfo*, addrinfo**)>("getaddrinfo");
  const std::string_view name(host);
  if (!name.ends_with(".test")) return next(host, service, hints, list);
  NameServer::instance().pass_through();
  if (name == "no-such-host.test") return EAI_NONAME;
  return next("192.0.2.1", service, hints, list);
}

}  // extern "C"
