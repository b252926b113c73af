// Observers that come and go while an engine runs.
#include <poll.h>

#include <atomic>
#include <map>
#include <thread>

#include "engine_scene.h"

namespace weir::engine {
namespace {

using event::EventKind;
using test::EngineScene;
using test::Peer;
using test::wait_until;

// What all observers of a test saw together. One of them runs at a time on its own thread; the sums are the test's.
struct Sums {
  std::atomic<std::uint64_t> born{0};
  std::atomic<std::uint64_t> gone{0};
  std::atomic<std::uint64_t> chunks{0};
  std::atomic<std::uint64_t> breaks{0};     // a chunk did not begin where the one before it ended
  std::atomic<std::uint64_t> strangers{0};  // a chunk of a session that was not told as opened before
};

// Checks that nothing is missing between its first event and its last.
class ContinuityObserver final : public event::Observer {
 public:
  explicit ContinuityObserver(std::shared_ptr<Sums> sums) : sums_(std::move(sums)) { ++sums_->born; }
  ~ContinuityObserver() override { ++sums_->gone; }
  ContinuityObserver(const ContinuityObserver&) = delete;
  auto operator=(const ContinuityObserver&) -> ContinuityObserver& = delete;

  void on_event(const event::Event& event, Nanos) override {
    if (std::holds_alternative<std::shared_ptr<const event::SessionOpened>>(event.what)) known_.insert(event.session);
    const auto* chunk = std::get_if<event::ChunkRead>(&event.what);
    if (chunk == nullptr) return;
    ++sums_->chunks;
    if (!known_.contains(event.session)) ++sums_->strangers;
    const auto key = std::pair(event.session, chunk->direction);
    const auto [at, is_first] = next_.try_emplace(key, chunk->offset);
    if (!is_first && at->second != chunk->offset) ++sums_->breaks;
    at->second = chunk->offset + chunk->bytes.size();
  }
  auto flush() -> bool override { return true; }

 private:
  std::shared_ptr<Sums> sums_;
  std::set<SessionNumber> known_;
  std::map<std::pair<SessionNumber, Direction>, std::uint64_t> next_;
};

constexpr event::EventMask shown = EventKind::session_opened | EventKind::chunk_read | EventKind::chunk_bytes |
                                   EventKind::chunk_written | EventKind::half_closed | EventKind::session_closed;

class Observers : public EngineScene {
 protected:
  auto attach(event::RingOptions ring, std::function<bool(std::string_view)> wants = {}) -> ObserverId {
    ring.mask = shown;
    auto attached = engine_->attach(
        {.observer = std::make_unique<ContinuityObserver>(sums_), .ring = std::move(ring), .wants = wants});
    EXPECT_TRUE(settle());
    return attached.value();
  }
  auto all_gone() -> bool {
    (void)engine_->take_news();
    return sums_->gone == sums_->born;
  }
  std::shared_ptr<Sums> sums_ = std::make_shared<Sums>();
};

TEST_F(Observers, OneThatComesLaterIsToldOfOpenSessionsAndThenOfAllTheyDo) {
  make();
  const std::string where = add(spec());
  engine_->start();
  const Peer client = Peer::connected_to(where);
  client.send("before");
  const Peer server = this->server();
  ASSERT_EQ(server.read(), "before");

  const ObserverId id = observe();
  client.send("after");
  ASSERT_EQ(server.read(), "after");
  ASSERT_TRUE(wait_until([&] {
    const std::lock_guard lock(journal_->mutex);
    return journal_->bytes == 5;
  }));
  {
    const std::lock_guard lock(journal_->mutex);
    EXPECT_EQ(journal_->opened, 1U) << "it was open before";
  }
  engine_->detach(id);
  ASSERT_TRUE(wait_until([&] {
    (void)engine_->take_news();
    return journal_.use_count() == 1;
  })) << "its observer is destroyed";
  client.send("unseen");
  ASSERT_EQ(server.read(), "unseen");
  EXPECT_EQ(journal_->bytes, 5U);
  EXPECT_TRUE(journal_->closes.empty());
}

TEST_F(Observers, OneThatLeavesGetsWhatHappenedBefore) {
  make({.workers = 2});
  const ObserverId id = observe();
  const std::string where = add(spec());
  engine_->start();
  for (int i = 0; i < 20; ++i) expect_it_relays(where);
  ASSERT_TRUE(wait_until([&] { return engine_->live_sessions() == 0; }));
  engine_->detach(id);
  ASSERT_TRUE(wait_until([&] {
    (void)engine_->take_news();
    return journal_.use_count() == 1;
  }));
  EXPECT_EQ(journal_->opened, 20U);
  EXPECT_EQ(journal_->closes.size(), 20U);
  EXPECT_EQ(journal_->bytes, 20U * (8 + 6));
}

TEST_F(Observers, OneThatFollowsTheRulesSeesAProxyWhileTheySaySo) {
  make({.workers = 2});
  ProxySpec quiet = spec();
  const ProxyId id = engine_->create_proxy(quiet);
  const std::string where = engine_->open_proxy(id)->text;
  engine_->start();
  const Peer client = Peer::connected_to(where);
  client.send("before");
  const Peer server = this->server();
  ASSERT_EQ(server.read(), "before");
  const auto diagnosed = [](const proxy::ProxyRules& rules) { return rules.diagnose; };
  const event::RingOptions ring{
      .policy = event::FullPolicy::drop,
      .mask = EventKind::session_opened | EventKind::chunk_read | EventKind::chunk_bytes | EventKind::session_closed};
  ASSERT_TRUE(engine_->attach(
      {.observer = std::make_unique<test::JournalObserver>(journal_), .ring = ring, .wants_rules = diagnosed}));
  const auto switch_to = [&](bool on) {
    quiet.rules.diagnose = on;
    engine_->set_rules(id, quiet.rules);
    return settle();
  };
  const auto say = [&](const std::string& word) {
    client.send(word);
    EXPECT_EQ(server.read(), word);
  };
  say("unseen");
  ASSERT_TRUE(switch_to(true));
  say("seen");
  ASSERT_TRUE(wait_until([&] {
    const std::lock_guard lock(journal_->mutex);
    return journal_->bytes == 4;
  }));
  EXPECT_EQ(journal_->opened, 1U) << "it was open before";
  ASSERT_TRUE(switch_to(true)) << "another change does not tell it again";
  ASSERT_TRUE(switch_to(false));
  say("unseen");
  ASSERT_TRUE(switch_to(true));
  say("again");
  ASSERT_TRUE(wait_until([&] {
    const std::lock_guard lock(journal_->mutex);
    return journal_->bytes == 9;
  }));
  EXPECT_EQ(journal_->opened, 2U);
  ProxySpec born = spec();
  born.rules.diagnose = true;
  expect_it_relays(add(born));
  EXPECT_TRUE(wait_until([&] {
    const std::lock_guard lock(journal_->mutex);
    return journal_->opened == 3U;
  }));
  EXPECT_FALSE(engine_->attach({.observer = std::make_unique<test::JournalObserver>(journal_),
                                .ring = {.policy = event::FullPolicy::block},
                                .wants_rules = diagnosed}))
      << "it could hold up who is let go while it waits";
}

TEST_F(Observers, ASessionThatWaitedForOneGoesOnWhenItLeaves) {
  make();
  const ObserverId id = observe();
  const std::string where = add(spec());
  engine_->start();
  const Peer client = Peer::connected_to(where);
  const Peer server = this->server();
  journal_->set(&test::Journal::stuck, true);
  // More than its ring holds, in reads as large as can be: the direction is parked with bytes unread.
  const std::string much(64 * 1024, 'x');
  std::atomic<bool> sent{false};
  std::thread sender([&] {
    for (int i = 0; i < 1600; ++i) client.send(much);
    sent = true;
  });
  std::atomic<std::uint64_t> received{0};
  std::thread receiver([&] {
    while (received < 1600 * much.size()) received += server.read().size();
  });
  // Its ring holds 8 MiB: about as much comes through, and then nothing.
  ASSERT_TRUE(wait_until([&] { return received >= 7 * 1024 * 1024; }));
  EXPECT_FALSE(sent);
  engine_->detach(id);
  sender.join();
  receiver.join();
  EXPECT_EQ(received, 1600 * much.size());
  journal_->set(&test::Journal::stuck, false);
}

TEST_F(Observers, AFilterIsAskedBeforeTheRing) {
  make();
  const std::string where = add(spec());
  engine_->start();
  attach({.filter = {.session = SessionNumber{2}}});
  attach({.filter = {.client = ClientFilter::parse("192.0.2.1").value()}});
  attach({}, [](std::string_view proxy) { return proxy == "another"; });
  for (int i = 0; i < 3; ++i) expect_it_relays(where);
  EXPECT_TRUE(engine_->stop(std::chrono::seconds{5}));
  EXPECT_EQ(sums_->chunks, 2U) << "one exchange of the second session";
  EXPECT_EQ(sums_->strangers, 0U);
}

TEST_F(Observers, AProxyThatComesLaterIsObservedToo) {
  make();
  attach({}, [](std::string_view proxy) { return proxy == "wanted"; });
  engine_->start();
  for (const char* name : {"wanted", "unwanted"}) {
    auto proxy = spec();
    proxy.name = name;
    expect_it_relays(add(std::move(proxy)));
  }
  EXPECT_TRUE(engine_->stop(std::chrono::seconds{5}));
  EXPECT_EQ(sums_->chunks, 2U);
}

TEST_F(Observers, HaveABound) {
  make();
  std::vector<ObserverId> ids;
  for (std::size_t i = 0; i < Engine::most_observers; ++i) ids.push_back(attach({.slots = 16}));
  engine_->start();
  const auto one_more = engine_->attach({.observer = std::make_unique<ContinuityObserver>(sums_), .ring = {}});
  ASSERT_FALSE(one_more);
  EXPECT_EQ(one_more.error().message, "32 observers are there already; let one go first");
  engine_->detach(ids.back());
  EXPECT_TRUE(engine_->attach({.observer = std::make_unique<ContinuityObserver>(sums_), .ring = {}}));
}

TEST_F(Observers, AStoppedEngineGivesThoseThatLeaveWhatIsLeft) {
  make();
  const ObserverId id = observe();
  const std::string where = add(spec());
  engine_->start();
  expect_it_relays(where);
  ASSERT_TRUE(wait_until([&] { return engine_->live_sessions() == 0; }));
  engine_->detach(id);
  EXPECT_TRUE(engine_->stop(std::chrono::seconds{5}));
  EXPECT_EQ(journal_->bytes, 8U + 6U);
}

// Clients that send and check echoes without a pause, on as many sessions, until told to stop.
class Load {
 public:
  Load(const std::string& where, Fd& upstream, int clients) {
    echo_ = std::thread([this, &upstream] { serve(upstream); });
    for (int i = 0; i < clients; ++i) {
      threads_.emplace_back([this, where] {
        while (!stopping_) one_session(where);
      });
    }
  }
  Load(const Load&) = delete;
  auto operator=(const Load&) -> Load& = delete;
  ~Load() { stop(); }
  void stop() {
    stopping_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    if (echo_.joinable()) echo_.join();
  }
  std::atomic<std::uint64_t> exchanges{0};
  std::atomic<std::uint64_t> wrong{0};

 private:
  void one_session(const std::string& where) {
    const Peer client = Peer::connected_to(where);
    if (!client.is_open()) return;
    for (int i = 0; i < 200 && !stopping_; ++i) {
      const std::string text(1 + static_cast<std::size_t>(i) * 7 % 900, static_cast<char>('a' + i % 26));
      client.send(text);
      std::string back;
      while (back.size() < text.size()) {
        const std::string part = client.read();
        if (part == "FIN" || part == "RST" || part == "nothing") break;
        back += part;
      }
      back == text ? ++exchanges : ++wrong;
    }
  }
  void serve(Fd& upstream) {
    std::vector<std::thread> sessions;
    while (!stopping_) {
      pollfd waiting{.fd = upstream.get(), .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      Fd accepted(::accept4(upstream.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!accepted) continue;
      sessions.emplace_back([fd = std::make_shared<Fd>(std::move(accepted))] {
        std::array<char, 2048> buffer{};
        for (ssize_t n = 0; (n = ::recv(fd->get(), buffer.data(), buffer.size(), 0)) > 0;) {
          if (::send(fd->get(), buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) < 0) return;
        }
      });
    }
    for (auto& session : sessions) session.join();
  }

  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
  std::thread echo_;
};

// Ten thousand come and go while sessions open, talk and close; every other is slow to be heard by the traffic.
TEST_F(Observers, ComeAndGoUnderLoadAndLoseNothing) {
  make({.workers = 2});
  const std::string where = add(spec());
  engine_->start();
  Load load(where, upstream_, 3);
  std::vector<ObserverId> present;
  constexpr unsigned rounds = 10'000;
  for (unsigned i = 0; i < rounds; ++i) {
    present.push_back(attach({.policy = event::FullPolicy::block, .slots = i % 2 == 0 ? 64U : 4U}));
    if (present.size() < 4) continue;
    engine_->detach(present.front());
    present.erase(present.begin());
    if (i % 16 == 0) (void)engine_->take_news();
  }
  for (const ObserverId id : present) engine_->detach(id);
  EXPECT_TRUE(wait_until([&] { return all_gone(); }));
  load.stop();
  EXPECT_EQ(sums_->born, rounds);
  EXPECT_EQ(sums_->breaks, 0U);
  EXPECT_EQ(sums_->strangers, 0U);
  EXPECT_EQ(load.wrong, 0U);
  EXPECT_GT(load.exchanges, 0U);
  EXPECT_GT(sums_->chunks, 0U);
  EXPECT_TRUE(engine_->stop(std::chrono::seconds{5}));
}

}  // namespace
}  // namespace weir::engine
