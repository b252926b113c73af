// A worker on virtual time with real sockets on loopback: the clock stands until the test advances it,
// the kernel does what it does. What a session asks of the world is answered by fakes: the resolver when
// the test says so, the sockets with any error, the handshake is a line.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/upstream_address.h"
#include "net/places.h"
#include "proxy/acceptor.h"
#include "proxy/worker.h"

namespace weir::proxy::live {

using event::TimeoutName;

inline auto loopback(std::uint16_t port = 0) -> Address { return Address::parse_ip("127.0.0.1", port).value(); }
inline auto unix_address(const std::string& path) -> Address { return Address(Address::Unix{path}); }

class FakeResolver final : public net::Resolver {
 public:
  void resolve(const UpstreamAddress::Name& name, net::EventLoop& loop, Done done) override {
    asked.push_back({name, &loop, std::move(done)});
  }
  void answer(const Result<net::Addresses>& addresses, std::size_t which = 0) {
    asked.at(which).loop->post([done = asked.at(which).done, addresses] { done(addresses); });
  }
  struct Question {
    UpstreamAddress::Name name;
    net::EventLoop* loop;
    Done done;
  };
  std::vector<Question> asked;
};

class FakeSockets final : public net::SocketFactory {
 public:
  [[nodiscard]] auto listen(const Address& address, const net::StreamOptions& options) -> Result<Fd> override {
    return kernel_.listen(address, options);
  }
  [[nodiscard]] auto connect(const Address& address, const net::StreamOptions& options, const Address* from)
      -> Result<Connecting> override {
    asked.push_back(address);
    if (const auto found = errors.find(address.to_string()); found != errors.end()) {
      return failure(fmt::format("{}: {}", address.to_string(), errno_text(found->second)), found->second);
    }
    return kernel_.connect(address, options, from);
  }
  std::map<std::string, int> errors;  // by address: what connect(2) says at once
  std::vector<Address> asked;

 private:
  net::KernelSockets kernel_;
};

// A toy: the client says one line, "hello", or "to ADDRESS" to choose the upstream, "as ADDRESS" to be shown
// as another client, "from ADDRESS" for the address that we connect from; a line that begins with '!' is
// refused with a word. When the upstream is reached, it is told who comes, and the client is welcomed.
class LineHandshake final : public Handshake {
 public:
  explicit LineHandshake(bool silent = true) : silent_(silent) {}
  void on_bytes(HandshakeContext& context, LegName from) override {
    if (from == LegName::server) return;
    const auto bytes = context.bytes(from);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.starts_with('!')) {
      if (!silent_) say(context, LegName::client, "no\n");
      return context.fail(event::CloseReason::client_error, LegName::client, "its line is malformed");
    }
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return;
    const std::string line(text.substr(0, end));
    context.consume(from, end + 1);
    std::optional<UpstreamTarget> target;
    std::optional<SourceAddress> source;
    if (line.starts_with("to ")) target = UpstreamTarget{UpstreamAddress::parse(line.substr(3)).value()};
    if (line.starts_with("as ")) context.show_client(ClientAddress(Address::parse_ip(line.substr(3), 4711).value()));
    if (line.starts_with("from ")) source = SourceAddress(Address::parse_ip(line.substr(5), 0).value());
    context.connect(std::move(target), std::move(source));
  }
  void on_connected(HandshakeContext& context, const ServerAddress&) override {
    if (!silent_) {
      say(context, LegName::server, "a client comes\n");
      say(context, LegName::client, "welcome\n");
    }
    context.done();
  }
  void on_connect_failed(HandshakeContext& context, const event::CloseCause&) override {
    if (!silent_) say(context, LegName::client, "nobody there\n");
  }

 private:
  static void say(HandshakeContext& context, LegName to, std::string_view text) {
    context.send(to, std::as_bytes(std::span(text)));
  }
  bool silent_;
};

enum class Felt : std::uint8_t { nothing, fin, reset };
inline auto operator<<(std::ostream& out, Felt felt) -> std::ostream& {
  return out << (felt == Felt::nothing ? "nothing" : felt == Felt::fin ? "FIN" : "RST");
}

// One end of a connection that the test plays.
class Peer {
 public:
  Peer() = default;
  explicit Peer(Fd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] auto is_open() const -> bool { return static_cast<bool>(fd_); }
  [[nodiscard]] auto fd() const -> int { return fd_.get(); }
  void send(std::string_view text) const {
    ASSERT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  void end() const { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  void reset() {
    net::reset_on_close(fd_.get());
    fd_.reset();
  }
  // Takes what is there.
  void look() {
    std::array<char, 4096> buffer{};
    while (felt_ == Felt::nothing) {
      const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n > 0) {
        received_.append(buffer.data(), static_cast<std::size_t>(n));
        continue;
      }
      if (n == 0) felt_ = Felt::fin;
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) felt_ = Felt::reset;
    }
  }
  [[nodiscard]] auto received() const -> const std::string& { return received_; }
  [[nodiscard]] auto felt() const -> Felt { return felt_; }

 private:
  Fd fd_;
  std::string received_;
  Felt felt_ = Felt::nothing;
};

// Leaves the process without a free descriptor while it lives.
class NoDescriptorLeft {
 public:
  NoDescriptorLeft() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(lowest_free);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest_free), .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptorLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptorLeft(const NoDescriptorLeft&) = delete;
  auto operator=(const NoDescriptorLeft&) -> NoDescriptorLeft& = delete;

 private:
  rlimit before_{};
};

class SessionScene : public testing::Test {
 protected:
  SessionScene() {
    settings_->id = ProxyId{7};
    set_upstream(upstream_address_);
  }
  ~SessionScene() override {
    ring_.reset();  // before the worker: it holds slices of its blocks
    worker_.reset();
  }

  // --- before the first client ---
  void set_upstream(const Address& address) { settings_->rules.upstream = {address, address.to_string()}; }
  void set_upstream_name() { settings_->rules.upstream = UpstreamAddress::parse("db.example:5432").value(); }
  void set(TimeoutName name, std::optional<Nanos> value) { settings_->rules.timeouts.set(name, value); }

  auto proxy() -> ProxyOnWorker& {
    if (proxy_ != nullptr) return *proxy_;
    worker_->add_ring(
        ring_, [](const ProxyOnWorker&) { return false; }, false);
    auto added = std::make_unique<ProxyOnWorker>();
    added->settings = settings_;
    added->shared = shared_;
    auto sockets = std::make_unique<FakeSockets>();
    sockets_ = sockets.get();
    added->sockets = std::move(sockets);
    added->peers = {worker_.get()};
    added->faults = std::make_shared<const fault::FaultList>();
    added->fault_state = fault_state_;
    added->fault_budget = &fault_budget_;
    if (observed_) added->observers.add(*ring_);
    proxy_ = &worker_->add_proxy(std::move(added));
    return *proxy_;
  }
  // From now on these are the proxy's faults, as typed.
  void set_faults(const std::vector<std::string>& texts) {
    std::vector<fault::FaultList::Entry> entries;
    for (const auto& text : texts) {
      entries.push_back(std::make_shared<const fault::FaultSpec>(fault::parse_fault(text).value()));
    }
    worker_->set_faults(proxy(), std::make_shared<const fault::FaultList>(std::move(entries), ++revision_));
  }
  auto sockets() -> FakeSockets& { return (void)proxy(), *sockets_; }

  // A client connects and is handed to the worker.
  auto client() -> Peer {
    auto connecting = kernel_.connect(front_address_, {}).value();
    Fd accepted;
    EXPECT_TRUE(net::test::wait_until([&] {
      accepted.reset(::accept4(front_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return static_cast<bool>(accepted);
    }));
    Peer peer(std::move(connecting.fd));
    EXPECT_TRUE(shared_->take_place(std::nullopt));
    shared_->session_began();
    const Address address = net::peer_address(accepted.get()).value();
    worker_->adopt(proxy(), std::move(accepted), address, SessionNumber{++number_});
    return peer;
  }
  // The connection that a session made to the upstream.
  auto server() -> Peer {
    Fd accepted;
    EXPECT_TRUE(turn_until([&] {
      accepted.reset(::accept4(upstream_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return static_cast<bool>(accepted);
    })) << "nobody connects to the upstream";
    return Peer(std::move(accepted));
  }
  [[nodiscard]] auto nobody_came_to_the_upstream() const -> bool {
    return ::accept4(upstream_.get(), nullptr, nullptr, SOCK_CLOEXEC) < 0 && errno == EAGAIN;
  }

  // --- time and turns ---
  void turn() {
    loop_->run_once(Nanos{0});
    take_events();
  }
  // For what the kernel has under way; a condition that never holds fails after five seconds.
  template <class Condition>
  auto turn_until(Condition holds) -> bool {
    return net::test::wait_until([&] { return turn(), holds(); });
  }
  // Enough turns for everything that could happen without time passing.
  void settle() {
    for (int i = 0; i < 20; ++i) {
      turn();
      std::this_thread::yield();
    }
  }
  void pass(Nanos time) {
    clock_.advance(time);
    settle();
  }
  // The same in steps, for what is asked again and again.
  void pass_in_steps(Nanos time, Nanos step = std::chrono::milliseconds{10}) {
    for (; time > Nanos{0}; time -= step) {
      clock_.advance(std::min(time, step));
      turn();
    }
    settle();
  }
  auto hears(Peer& peer, std::string_view text) -> bool {
    return turn_until([&] { return peer.look(), peer.received() == text || peer.felt() == Felt::reset; }) &&
           peer.received() == text;
  }
  auto feels(Peer& peer, Felt what) -> bool {
    turn_until([&] { return peer.look(), peer.felt() != Felt::nothing; });
    EXPECT_EQ(peer.felt(), what);
    return peer.felt() == what;
  }

  // --- what became of it ---
  [[nodiscard]] auto phases() -> std::vector<SessionPhase> {
    std::vector<SessionPhase> phases;
    worker_->each_session([&](const Session& session) { phases.push_back(session.phase()); });
    return phases;
  }
  [[nodiscard]] auto phase() -> SessionPhase {
    const auto all = phases();
    return all.size() == 1 ? all[0] : SessionPhase::closing;
  }
  auto only_session() -> Session& {
    Session* only = nullptr;
    worker_->each_session([&](Session& session) { only = &session; });
    return *only;
  }
  // "closed by idle.client after 30.0s", or "open".
  [[nodiscard]] auto ending() const -> std::string { return closed_.empty() ? "open" : describe(closed_.back().cause); }
  auto ends() -> std::string {
    turn_until([&] { return !closed_.empty(); });
    return ending();
  }
  [[nodiscard]] auto detail() const -> std::string { return closed_.empty() ? "" : closed_.back().detail; }

  ManualClock clock_;
  std::unique_ptr<net::EventLoop> loop_ = net::EventLoop::create(clock_).value();
  FakeResolver resolver_;
  std::unique_ptr<Worker> worker_ = std::make_unique<Worker>(*loop_, resolver_);
  std::shared_ptr<event::EventRing> ring_ = std::make_shared<event::EventRing>(
      event::RingOptions{.mask = event::EventKind::session_opened | event::EventKind::chunk_read |
                                 event::EventKind::chunk_bytes | event::EventKind::half_closed |
                                 event::EventKind::session_closed},
      std::make_shared<event::ConsumerSignal>());
  bool observed_ = true;
  std::shared_ptr<ProxySettings> settings_ = std::make_shared<ProxySettings>();
  std::shared_ptr<ProxyShared> shared_ = std::make_shared<ProxyShared>();
  std::shared_ptr<fault::ProxyFaults> fault_state_ = std::make_shared<fault::ProxyFaults>(7, "web");
  fault::ByteBudget fault_budget_;
  net::KernelSockets kernel_;
  Fd front_ = kernel_.listen(loopback(), {}).value();
  Address front_address_ = net::local_address(front_.get()).value();
  Fd upstream_ = kernel_.listen(loopback(), {}).value();
  Address upstream_address_ = net::local_address(upstream_.get()).value();

  std::vector<event::SessionOpened> opened_;
  std::vector<event::SessionClosed> closed_;
  std::array<std::string, 2> relayed_;  // by direction

 private:
  void take_events() {
    ring_->drain([this](event::Event& each) {
      if (const auto* open = std::get_if<std::shared_ptr<const event::SessionOpened>>(&each.what)) {
        opened_.push_back(**open);
      } else if (const auto* close = std::get_if<std::shared_ptr<const event::SessionClosed>>(&each.what)) {
        closed_.push_back(**close);
      } else if (const auto* chunk = std::get_if<event::ChunkRead>(&each.what)) {
        const auto bytes = chunk->bytes.bytes();
        relayed_[index(chunk->direction)].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      }
    });
  }

  ProxyOnWorker* proxy_ = nullptr;
  FakeSockets* sockets_ = nullptr;
  std::uint64_t number_ = 0;
  std::uint64_t revision_ = 0;
};

}  // namespace weir::proxy::live
