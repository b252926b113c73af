// An engine on loopback, the peers that talk through it, and an observer that tells what it saw.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/listen_address.h"
#include "base/upstream_address.h"
#include "engine/engine.h"
#include "net/places.h"

namespace weir::engine::test {

using net::test::wait_until;

// What the observer saw, readable from the test's thread; and how it behaves.
struct Journal {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> closes;  // "closed by ..."
  std::uint64_t arrived = 0;        // events handed over, the one it is stuck in included
  std::uint64_t opened = 0;
  std::uint64_t bytes = 0;
  bool takes_more = true;  // false: flush says that its output is closed
  bool stuck = false;      // on_event does not return while set

  auto number_of_closes() -> std::size_t {
    const std::lock_guard lock(mutex);
    return closes.size();
  }
  void set(bool Journal::*flag, bool value) {
    const std::lock_guard lock(mutex);
    this->*flag = value;
    changed.notify_all();
  }
};

class JournalObserver final : public event::Observer {
 public:
  explicit JournalObserver(std::shared_ptr<Journal> journal) : journal_(std::move(journal)) {}
  void on_event(const event::Event& event, Nanos) override {
    std::unique_lock lock(journal_->mutex);
    ++journal_->arrived;
    journal_->changed.wait(lock, [&] { return !journal_->stuck; });
    if (std::holds_alternative<std::shared_ptr<const event::SessionOpened>>(event.what)) ++journal_->opened;
    if (const auto* chunk = std::get_if<event::ChunkRead>(&event.what)) journal_->bytes += chunk->bytes.size();
    if (const auto* closed = std::get_if<std::shared_ptr<const event::SessionClosed>>(&event.what)) {
      const std::string detail = (*closed)->detail.empty() ? "" : " (" + (*closed)->detail + ")";
      journal_->closes.push_back(std::string(to_string((*closed)->cause)) + detail);
    }
  }
  auto flush() -> bool override {
    const std::lock_guard lock(journal_->mutex);
    return journal_->takes_more;
  }

 private:
  std::shared_ptr<Journal> journal_;
};

// A blocking peer; whatever it waits for comes within five seconds or it fails.
class Peer {
 public:
  Peer() = default;
  explicit Peer(Fd fd) : fd_(std::move(fd)) {
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  // "127.0.0.1:8888", ":8888" (through IPv4 then), "[::1]:8888" or "unix:/path".
  static auto connected_to(std::string_view where) -> Peer {
    const std::string text = where.starts_with(':') ? "127.0.0.1" + std::string(where) : std::string(where);
    const Address address = std::get<Address>(UpstreamAddress::parse(text).value().target);
    sockaddr_storage storage;
    const socklen_t length = address.to_sockaddr(storage);
    Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) return {};
    return Peer(std::move(fd));
  }
  [[nodiscard]] auto is_open() const -> bool { return static_cast<bool>(fd_); }
  void send(std::string_view text) const {
    ASSERT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // Its next bytes, "FIN", "RST" or "nothing".
  auto read() const -> std::string {
    std::array<char, 4096> buffer{};
    const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (n > 0) return {buffer.data(), static_cast<std::size_t>(n)};
    return n == 0 ? "FIN" : errno == ECONNRESET ? "RST" : "nothing";
  }
  void close() { fd_.reset(); }

 private:
  Fd fd_;
};

class EngineScene : public testing::Test {
 protected:
  // Asks from a loop of the test's own, which turns until the answer is there: `ask` is given who asks, and what to
  // call with it.
  template <class T, class Ask>
  auto answer_of(Ask ask, std::chrono::milliseconds patience = std::chrono::seconds{5}) -> T {
    const auto answer = std::make_shared<std::optional<T>>();
    ask(Asker{*home_, patience}, [answer](T given) { *answer = std::move(given); });
    EXPECT_TRUE(wait_until([&] {
      if (!*answer) home_->run_once(std::chrono::milliseconds{5});
      return answer->has_value();
    })) << "no answer came";
    return answer->value_or(T{});
  }
  // Has every loop taken all changes?
  auto settle() -> bool {
    return answer_of<bool>([&](const Asker& asker, auto then) { engine_->settle(asker, then); });
  }
  auto totals(std::chrono::milliseconds patience = std::chrono::seconds{5}) -> Totals {
    return answer_of<Totals>([&](const Asker& asker, auto then) { engine_->totals(asker, then); }, patience);
  }
  auto sessions(std::optional<ProxyId> proxy, std::size_t most = 10) -> SessionList {
    return answer_of<SessionList>([&](const Asker& asker, auto then) { engine_->sessions(asker, proxy, most, then); });
  }
  auto traffic() -> Traffic {
    return answer_of<Traffic>([&](const Asker& asker, auto then) { engine_->traffic(asker, then); });
  }
  auto close_session(ProxyId proxy, SessionNumber number) -> Engine::SessionEnd {
    return answer_of<Engine::SessionEnd>(
        [&](const Asker& asker, auto then) { engine_->close_session(asker, proxy, number, "asked", then); });
  }
  void make(const EngineOptions& options = {}) { engine_ = Engine::create(options).value(); }
  auto observe(event::FullPolicy policy = event::FullPolicy::block) -> ObserverId {
    auto attached =
        engine_->attach({.observer = std::make_unique<JournalObserver>(journal_),
                         .ring = {.policy = policy,
                                  .mask = event::EventKind::session_opened | event::EventKind::chunk_read |
                                          event::EventKind::chunk_bytes | event::EventKind::session_closed}});
    EXPECT_TRUE(settle());
    return attached.value();
  }
  auto spec(std::string_view listen = "0") -> ProxySpec {
    ProxySpec spec;
    spec.rules.listen = ListenAddress::parse(listen).value();
    spec.rules.upstream = {upstream_address_, upstream_address_.to_string()};
    return spec;
  }
  auto add(ProxySpec spec) -> std::string {
    auto where = engine_->add_proxy(std::move(spec));
    EXPECT_TRUE(where) << where.error().message;
    return where ? where->text : "";
  }
  auto server() -> Peer {
    Fd accepted;
    EXPECT_TRUE(wait_until([&] {
      accepted.reset(::accept4(upstream_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      return static_cast<bool>(accepted);
    })) << "nobody came to the upstream";
    return Peer(std::move(accepted));
  }
  // One session, from the client's byte to the server and back.
  void expect_it_relays(std::string_view where) {
    const Peer client = Peer::connected_to(where);
    ASSERT_TRUE(client.is_open()) << where << ": " << errno_text(errno);
    client.send("question");
    const Peer server = this->server();
    EXPECT_EQ(server.read(), "question");
    server.send("answer");
    EXPECT_EQ(client.read(), "answer");
  }

  std::shared_ptr<Journal> journal_ = std::make_shared<Journal>();
  net::KernelSockets kernel_;
  Fd upstream_ = kernel_.listen(Address::parse_ip("127.0.0.1", 0).value(), {}).value();
  Address upstream_address_ = net::local_address(upstream_.get()).value();
  net::test::Folder folder_;
  std::unique_ptr<net::EventLoop> home_ = *net::EventLoop::create(SystemClock::instance());
  std::unique_ptr<Engine> engine_;
};

}  // namespace weir::engine::test
