// A client and the kernel between it and the server: no socket, no thread, and time is what a test makes it.
//
//   ScriptedPeer       the client, which does what a test says, and the buffers between
//   ScriptedTransport  the server's end of it
//   ScriptedWorld      a server on virtual time and its clients
//
// Edges come as an edge-triggered epoll gives them: one, after something happened. Who misses one waits for ever.
#pragma once

#include <sys/epoll.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "http/server.h"

namespace weir::http::scripted {

// Something that must never happen did.
struct Violation : std::logic_error {
  using std::logic_error::logic_error;
};

inline void require(bool holds, const char* rule) {
  if (!holds) throw Violation(rule);
}

class ScriptedPeer {
 public:
  // ---- what the client does ----
  void sends(std::string_view bytes) {
    if (gone_ || fin_ || closed_) return;
    inbox_ += bytes;
    edge_ = true;
  }
  void sends_fin() { fin_ = edge_ = true; }
  void resets() { gone_ = edge_ = true; }
  void stops_reading() { reading_ = false; }
  void reads_on() {
    reading_ = true;
    takes(outbox_.size());
  }
  void takes(std::size_t n) {
    n = std::min(n, outbox_.size());
    received_ += outbox_.substr(0, n);
    outbox_.erase(0, n);
    if (n > 0 && was_full_) edge_ = true;
    if (n > 0) was_full_ = false;
  }

  // ---- what it saw ----
  [[nodiscard]] auto received() const -> const std::string& { return received_; }
  // Since the last call.
  [[nodiscard]] auto news() -> std::string { return received_.substr(std::exchange(seen_, received_.size())); }
  [[nodiscard]] auto saw_fin() const -> bool { return server_fin_ && outbox_.empty(); }
  // The server closed with bytes unread: the kernel sends RST, and what was on its way may be lost.
  [[nodiscard]] auto saw_reset() const -> bool { return server_reset_; }
  [[nodiscard]] auto is_closed() const -> bool { return closed_; }

  // ---- what a test arranges and looks at ----
  std::size_t send_buffer = 256 * 1024;
  std::size_t most_per_read = ~std::size_t{0};
  std::size_t most_per_write = ~std::size_t{0};
  std::optional<Nanos> patience;
  bool can_be_watched = true;
  std::uint64_t calls = 0;
  [[nodiscard]] auto unread() const -> std::size_t { return inbox_.size(); }

  // Tells the server what is new, if anything is. False: nothing.
  auto deliver() -> bool {
    if (handler_ == nullptr || !edge_) return false;
    edge_ = false;
    const bool writable = gone_ || outbox_.size() < send_buffer;
    handler_->on_ready(EPOLLIN | (writable ? EPOLLOUT : 0U));
    return true;
  }

 private:
  friend class ScriptedTransport;
  std::string inbox_;   // sent, and not read by the server
  std::string outbox_;  // written by the server, and not taken
  std::string received_;
  std::size_t seen_ = 0;
  net::ReadyHandler* handler_ = nullptr;
  bool edge_ = false;
  bool fin_ = false;
  bool gone_ = false;
  bool reading_ = true;
  bool was_full_ = false;
  bool server_fin_ = false;
  bool server_reset_ = false;
  bool closed_ = false;
};

class ScriptedTransport final : public Transport {
 public:
  explicit ScriptedTransport(ScriptedPeer& peer) : peer_(peer) {}
  ~ScriptedTransport() override {
    peer_.closed_ = peer_.server_fin_ = true;
    peer_.server_reset_ = !peer_.inbox_.empty() && !peer_.gone_;
    peer_.handler_ = nullptr;
  }
  ScriptedTransport(const ScriptedTransport&) = delete;
  auto operator=(const ScriptedTransport&) -> ScriptedTransport& = delete;

  auto watch(net::EventLoop&, net::ReadyHandler& handler) -> Result<void> override {
    if (!peer_.can_be_watched) return failure("no memory");
    peer_.handler_ = &handler;
    peer_.edge_ = true;  // a socket that is writable is announced once
    return {};
  }
  void unwatch(net::EventLoop&) override { peer_.handler_ = nullptr; }

  auto read(std::span<char> into) -> IoResult override {
    ++peer_.calls;
    require(!into.empty(), "a read of no bytes: its 0 would look like the end");
    if (peer_.gone_) return {.status = IoResult::Status::broken};
    const std::size_t n = std::min({into.size(), peer_.inbox_.size(), peer_.most_per_read});
    if (n == 0) return {.status = peer_.fin_ ? IoResult::Status::end : IoResult::Status::would_block};
    std::copy_n(peer_.inbox_.begin(), n, into.begin());
    peer_.inbox_.erase(0, n);
    return {.bytes = n};
  }
  auto write(std::string_view bytes) -> IoResult override {
    ++peer_.calls;
    require(!bytes.empty(), "a write of no bytes");
    require(!peer_.server_fin_, "a write after our FIN");
    if (peer_.gone_) return {.status = IoResult::Status::broken};
    const std::size_t room = peer_.send_buffer - std::min(peer_.send_buffer, peer_.outbox_.size());
    const std::size_t n = std::min({bytes.size(), room, peer_.most_per_write});
    if (n < bytes.size() && n == room) peer_.was_full_ = true;
    if (n == 0) return {.status = IoResult::Status::would_block};
    peer_.outbox_ += bytes.substr(0, n);
    if (peer_.reading_) peer_.takes(peer_.outbox_.size());
    return {.bytes = n};
  }
  void close_write() override {
    require(!peer_.server_fin_, "FIN twice");
    peer_.server_fin_ = true;
  }
  void set_patience(Nanos patience) override { peer_.patience = patience; }

 private:
  ScriptedPeer& peer_;
};

// Keeps what is said, for people and for tests.
class RememberingLog final : public Log {
 public:
  void write(LogLevel, std::string_view message, std::span<const LogField>) override { said.emplace_back(message); }
  std::vector<std::string> said;
};

class ScriptedWorld {
 public:
  explicit ScriptedWorld(const Limits& limits = {})
      : server(
            *loop,
            [this](Request request, Responder responder) {
              if (at_once) return at_once(std::move(request), std::move(responder));
              held.push_back({std::move(request), std::move(responder)});
            },
            log, limits) {}

  auto connect() -> ScriptedPeer& {
    peers.push_back(std::make_unique<ScriptedPeer>());
    server.adopt(std::make_unique<ScriptedTransport>(*peers.back()));
    return *peers.back();
  }
  // Turns the loop until nothing moves any more.
  void run() {
    int quiet = 0;
    for (int turn = 0; quiet < 2; ++turn) {
      require(turn < 100'000, "it turns without an end");
      const std::uint64_t before = calls();
      bool news = false;
      for (const auto& peer : peers) news = peer->deliver() || news;
      loop->run_once(Nanos{0});
      quiet = news || calls() != before ? 0 : quiet + 1;
    }
  }
  void pass(Nanos time) {
    clock.advance(time);
    run();
  }
  // Answers the oldest request that is held.
  void answer(Response response) {
    auto responder = std::move(held.front().responder);
    held.pop_front();
    responder.answer(std::move(response));
  }

  struct Held {
    Request request;
    Responder responder;
  };
  ManualClock clock;
  std::unique_ptr<net::EventLoop> loop = *net::EventLoop::create(clock);
  RememberingLog log;
  Handler at_once;        // none: requests are held
  std::deque<Held> held;  // before the server: it goes first, and nobody is answered then
  std::vector<std::unique_ptr<ScriptedPeer>> peers;
  Server server;

 private:
  [[nodiscard]] auto calls() const -> std::uint64_t {
    std::uint64_t sum = 0;
    for (const auto& peer : peers) sum += peer->calls;
    return sum;
  }
};

// Answers with the method, the path and the body, in words.
inline void echo(Request request, Responder responder) {
  responder.answer({.body = request.method + " " + request.path + " [" + request.body + "]"});
}

// What a client reads: the responses in `bytes`, each with its status and its body.
struct Seen {
  int status = 0;
  std::string head;
  std::string body;
};
// Nothing: it is no sequence of whole responses. `no_bodies`: they answer HEAD.
inline auto responses_in(std::string_view bytes, bool no_bodies = false) -> std::optional<std::vector<Seen>> {
  std::vector<Seen> all;
  while (!bytes.empty()) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos || !bytes.starts_with("HTTP/1.1 ")) return std::nullopt;
    Seen seen{.status = std::atoi(std::string(bytes.substr(9, 3)).c_str()),
              .head = std::string(bytes.substr(0, end + 2)),
              .body = {}};
    bytes.remove_prefix(end + 4);
    constexpr std::string_view name = "\r\nContent-Length: ";
    const auto at = seen.head.find(name);
    if (at != std::string::npos && !no_bodies) {
      const auto length = static_cast<std::size_t>(std::atoll(seen.head.c_str() + at + name.size()));
      if (length > bytes.size()) return std::nullopt;
      seen.body = bytes.substr(0, length);
      bytes.remove_prefix(length);
    }
    all.push_back(std::move(seen));
  }
  return all;
}

}  // namespace weir::http::scripted
