#include "http/transport.h"

#include <sys/socket.h>

#include <cerrno>

#include <optional>

#include "net/socket.h"

namespace weir::http {
namespace {

auto outcome(ssize_t n) -> IoResult {
  if (n > 0) return {.bytes = static_cast<std::size_t>(n)};
  if (n == 0) return {.status = IoResult::Status::end};
  const bool later = errno == EAGAIN || errno == EWOULDBLOCK;
  return {.status = later ? IoResult::Status::would_block : IoResult::Status::broken};
}

template <class Call>
auto uninterrupted(Call call) -> ssize_t {
  ssize_t n = call();
  while (n < 0 && errno == EINTR) n = call();
  return n;
}

class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(Fd socket) : socket_(std::move(socket)) {}

  auto watch(net::EventLoop& loop, net::ReadyHandler& handler) -> Result<void> override {
    const auto token = loop.watch(socket_.get(), handler, net::EventLoop::stream_events);
    if (!token) return tl::make_unexpected(token.error());
    token_ = *token;
    return {};
  }
  void unwatch(net::EventLoop& loop) override { loop.forget(token_); }
  auto read(std::span<char> into) -> IoResult override {
    return outcome(uninterrupted([&] { return ::recv(socket_.get(), into.data(), into.size(), 0); }));
  }
  auto write(std::string_view bytes) -> IoResult override {
    return outcome(uninterrupted([&] { return ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }));
  }
  void close_write() override { ::shutdown(socket_.get(), SHUT_WR); }
  void set_patience(Nanos patience) override {
    net::StreamOptions options;
    options.user_timeout = patience;
    if (const auto here = net::local_address(socket_.get())) {
      (void)net::apply_stream_options(socket_.get(), here->family(), options);
    }
  }
  auto peer() -> std::string override {
    if (!peer_) peer_ = ask_peer();
    return *peer_;
  }

 private:
  [[nodiscard]] auto ask_peer() const -> std::string {
    const auto address = net::peer_address(socket_.get());
    if (address && address->is_ip()) return address->to_string();
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid == 0) return {};
    return fmt::format("process {}", peer.pid);
  }

  Fd socket_;
  std::optional<std::string> peer_;  // once it was asked for
  net::WatchToken token_;
};

}  // namespace

auto make_transport(Fd socket) -> std::unique_ptr<Transport> {
  return std::make_unique<SocketTransport>(std::move(socket));
}

}  // namespace weir::http
