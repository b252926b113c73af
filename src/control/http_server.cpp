#include "control/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "control/http_connection.h"

namespace weir::control {

// Level-triggered, so that who was not accepted now is announced again. Pauses when no descriptor is left
// or too many connections are busy.
class HttpServer::Listener final : private net::ReadyHandler, private net::Timer {
 public:
  Listener(HttpServer& server, Fd socket) : server_(server), socket_(std::move(socket)) {}
  ~Listener() override {
    server_.loop_.wheel().disarm(*this);
    if (watching_) server_.loop_.unwatch(token_, socket_.get());
  }
  Listener(const Listener&) = delete;
  auto operator=(const Listener&) -> Listener& = delete;

  [[nodiscard]] auto start() -> Result<void> {
    if (watching_) return {};
    auto token = server_.loop_.watch(socket_.get(), *this, EPOLLIN);
    if (!token) return tl::make_unexpected(token.error());
    token_ = *token;
    watching_ = true;
    return {};
  }

 private:
  void on_ready(std::uint32_t) override {
    constexpr int accepts_per_turn = 16;
    for (int i = 0; i < accepts_per_turn; ++i) {
      if (server_.is_full() && !server_.make_room()) return pause();
      Fd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!client) {
        const int error = errno;
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) pause();
        return;
      }
      server_.adopt(std::move(client));
    }
  }
  void on_timer() override {
    if (server_.is_full() || !start()) arm();
  }
  void pause() {
    if (!watching_) return;
    watching_ = false;
    server_.loop_.unwatch(token_, socket_.get());
    arm();
  }
  void arm() { server_.loop_.wheel().arm(*this, server_.loop_.now() + std::chrono::milliseconds{100}); }

  HttpServer& server_;
  Fd socket_;
  net::WatchToken token_;
  bool watching_ = false;
};

HttpServer::HttpServer(net::EventLoop& loop, HttpHandler handler, Log& log)
    : loop_(loop), handler_(std::move(handler)), log_(log) {}

HttpServer::~HttpServer() {
  listeners_.clear();
  while (!connections_.empty()) (*connections_.begin())->end();
}

auto HttpServer::listen(Fd socket) -> Result<void> {
  listeners_.push_back(std::make_unique<Listener>(*this, std::move(socket)));
  return listeners_.back()->start();
}

void HttpServer::stop() {
  stopping_ = true;
  listeners_.clear();
  const auto all = connections_;
  for (HttpConnection* connection : all) connection->stop();
}

void HttpServer::adopt(Fd socket) {
  const int one = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  auto connection = std::make_unique<HttpConnection>(*this, std::move(socket));
  if (!connection->start()) return;
  connections_.insert(connection.release());  // until ended()
}

auto HttpServer::make_room() -> bool {
  HttpConnection* longest = nullptr;
  MonoTime since = MonoTime::max();
  for (HttpConnection* connection : connections_) {
    const auto waits = connection->waits_since();
    if (!waits || *waits >= since) continue;
    longest = connection;
    since = *waits;
  }
  if (longest == nullptr) return false;
  longest->end();
  return true;
}

void HttpServer::ended(HttpConnection& connection) {
  connections_.erase(&connection);
  loop_.free_later(std::unique_ptr<net::Disposable>(&connection));
}

}  // namespace weir::control
