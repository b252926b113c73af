#include "http/listener.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

#include "base/out_of_memory.h"

namespace weir::http {

Listener::Listener(net::EventLoop& loop, Fd socket, Owner owner)
    : loop_(loop), socket_(std::move(socket)), owner_(std::move(owner)) {}

Listener::~Listener() {
  loop_.wheel().disarm(*this);
  if (watching_) loop_.unwatch(token_, socket_.get());
}

auto Listener::start() -> Result<void> {
  if (watching_) return {};
  auto token = loop_.watch(socket_.get(), *this, EPOLLIN);
  if (!token) return tl::make_unexpected(token.error());
  token_ = *token;
  watching_ = true;
  return {};
}

void Listener::on_ready(std::uint32_t) {
  constexpr int accepts_per_turn = 16;
  for (int i = 0; i < accepts_per_turn; ++i) {
    if (!owner_.has_room()) return pause();
    Fd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client) {
      const int error = errno;
      if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) pause();
      return;
    }
    (void)contained([&] { owner_.on_accepted(std::move(client)); });  // or it closes
  }
}

void Listener::on_timer() {
  bool started = false;
  if (!contained([&] { started = start().has_value(); }) || !started) arm();
}

void Listener::pause() {
  watching_ = false;
  loop_.unwatch(token_, socket_.get());
  arm();
}

void Listener::arm() { loop_.wheel().arm(*this, loop_.now() + std::chrono::milliseconds{100}); }

}  // namespace weir::http
