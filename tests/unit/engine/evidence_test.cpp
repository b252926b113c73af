// What the kernel says of a running session's legs, for observers that come and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "engine/engine_scene.h"

namespace weir::engine {
namespace {

using namespace std::chrono_literals;
using event::EventKind;
using test::Peer;
using test::wait_until;

struct Seen {
  std::mutex mutex;
  std::deque<event::Event> events;
};

class Collector final : public event::Observer {
 public:
  explicit Collector(std::shared_ptr<Seen> seen) : seen_(std::move(seen)) {}
  void on_event(const event::Event& event, Nanos) override {
    const std::lock_guard lock(seen_->mutex);
    seen_->events.push_back(event);
    // The bytes are the engine's, and it may go first.
    if (auto* read = std::get_if<event::ChunkRead>(&seen_->events.back().what)) read->bytes = Slice{};
  }
  auto flush() -> bool override { return true; }

 private:
  std::shared_ptr<Seen> seen_;
};

class Evidence : public test::EngineScene {
 protected:
  ~Evidence() override {
    engine_.reset();  // before what was seen: its slices lie in the workers' blocks
  }
  auto observe_evidence(event::EventMask mask) -> ObserverId {
    auto attached = engine_->attach({.observer = std::make_unique<Collector>(seen_), .ring = {.mask = mask}});
    EXPECT_TRUE(settle());
    return attached.value();
  }
  // A session through which 8 bytes have gone upstream and 6 downstream.
  void a_session_runs() {
    const std::string where = add(spec());
    engine_->start();
    client_ = Peer::connected_to(where);
    server_ = server();
    carry(client_, server_, "question");
    carry(server_, client_, "answer");
  }
  static void carry(const Peer& from, const Peer& to, const std::string& text) {
    from.send(text);
    EXPECT_EQ(to.read(), text);
  }
  // Waits for an event of this kind that `is_it` says yes to.
  template <class Kind, class IsIt>
  auto comes(IsIt is_it) -> bool {
    return wait_until([&] {
      const std::lock_guard lock(seen_->mutex);
      return std::ranges::any_of(seen_->events, [&](const event::Event& event) {
        const auto* what = std::get_if<Kind>(&event.what);
        return what != nullptr && is_it(event, *what);
      });
    });
  }
  template <class Kind>
  auto is_told_up_to(Direction direction, std::uint64_t end) -> bool {
    return comes<Kind>([&](const event::Event&, const Kind& what) {
      EXPECT_LE(what.end_offset, what.direction == Direction::upstream ? upstream_bytes_ : downstream_bytes_);
      return what.direction == direction && what.end_offset == end;
    });
  }
  auto counters_come(LegName leg, event::ProbePoint point, const std::vector<std::uint64_t>& received) -> bool {
    using Counters = std::shared_ptr<const event::LegCounters>;
    return comes<Counters>([&](const event::Event&, const Counters& what) {
      return what->leg == leg && what->point == point && std::ranges::count(received, what->bytes_received) != 0;
    });
  }
  auto handle_of_the_session() -> SessionHandle {
    using Opened = std::shared_ptr<const event::SessionOpened>;
    SessionHandle handle;
    EXPECT_TRUE(comes<Opened>([&](const event::Event&, const Opened& what) { return handle = what->handle, true; }));
    return handle;
  }
  // Sockets of this process that the kernel stamps; the peers' are among those that it does not.
  static auto stamped_sockets() -> int {
    int stamped = 0;
    for (int fd = 0; fd < 256; ++fd) {
      int flags = 0;
      socklen_t length = sizeof flags;
      if (::getsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, &length) == 0 && flags != 0) ++stamped;
    }
    return stamped;
  }

  std::shared_ptr<Seen> seen_ = std::make_shared<Seen>();
  Peer client_;
  Peer server_;
  std::uint64_t upstream_bytes_ = 8;
  std::uint64_t downstream_bytes_ = 6;
};

TEST_F(Evidence, ComesOfASessionThatRunsAlreadyUntilItsObserverGoes) {
  make();
  a_session_runs();
  EXPECT_EQ(stamped_sockets(), 0) << "nobody wants it";
  const ObserverId id = observe_evidence(EventKind::sent | EventKind::acknowledged | EventKind::leg_counters);
  if (stamped_sockets() == 0) GTEST_SKIP() << "this kernel has no timestamps";
  EXPECT_EQ(stamped_sockets(), 2);
  upstream_bytes_ = 12, downstream_bytes_ = 9;
  std::this_thread::sleep_for(event::told_after_silence);  // the silence behind which counters are told
  carry(client_, server_, "more");
  carry(server_, client_, "yes");
  EXPECT_TRUE(is_told_up_to<event::Sent>(Direction::upstream, 12));
  EXPECT_TRUE(is_told_up_to<event::Acknowledged>(Direction::upstream, 12));
  EXPECT_TRUE(is_told_up_to<event::Sent>(Direction::downstream, 9));
  EXPECT_TRUE(is_told_up_to<event::Acknowledged>(Direction::downstream, 9));
  EXPECT_TRUE(counters_come(LegName::client, event::ProbePoint::moved, {12}));
  // The answer may be there already when the server's leg is looked at.
  EXPECT_TRUE(counters_come(LegName::server, event::ProbePoint::moved, {6, 9}));
  engine_->detach(id);
  EXPECT_TRUE(wait_until([] { return stamped_sockets() == 0; }));
  carry(client_, server_, "and on it goes");
}

TEST_F(Evidence, CountersComeWhenAskedForUntilTheSessionEnds) {
  make();
  a_session_runs();
  (void)observe_evidence(EventKind::leg_counters | EventKind::session_opened | EventKind::session_closed);
  EXPECT_EQ(stamped_sockets(), 0) << "counters need no stamps";
  const SessionHandle handle = handle_of_the_session();
  engine_->ask_counters(handle);
  EXPECT_TRUE(counters_come(LegName::client, event::ProbePoint::asked, {8}));
  EXPECT_TRUE(counters_come(LegName::server, event::ProbePoint::asked, {6}));
  client_.close();
  server_.close();
  using Closed = std::shared_ptr<const event::SessionClosed>;
  EXPECT_TRUE(comes<Closed>([](const event::Event&, const Closed&) { return true; }));
  engine_->ask_counters(handle);
  engine_->ask_counters({.worker = 7});
  EXPECT_TRUE(engine_->stop(5s));
  const auto asked = std::ranges::count_if(seen_->events, [](const event::Event& event) {
    const auto* what = std::get_if<std::shared_ptr<const event::LegCounters>>(&event.what);
    return what != nullptr && (*what)->point == event::ProbePoint::asked;
  });
  EXPECT_EQ(asked, 2);
}

TEST_F(Evidence, AChunkSaysWhenTheKernelReceivedIt) {
  make();
  a_session_runs();
  (void)observe_evidence(EventKind::chunk_read | EventKind::receive_times);
  if (stamped_sockets() == 0) GTEST_SKIP() << "this kernel has no timestamps";
  // The kernel begins to stamp a little after it was asked to for the first time.
  const MonoTime before = SystemClock::instance().mono();
  EXPECT_TRUE(wait_until([&] {
    carry(client_, server_, "more");
    const std::lock_guard lock(seen_->mutex);
    return std::ranges::any_of(seen_->events, [&](const event::Event& event) {
      const auto* read = std::get_if<event::ChunkRead>(&event.what);
      if (read == nullptr || !read->kernel_time) return false;
      EXPECT_LE(*read->kernel_time, event.time);
      EXPECT_GE(*read->kernel_time, before);
      return true;
    });
  }));
}

}  // namespace
}  // namespace weir::engine
