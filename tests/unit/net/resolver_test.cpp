#include "net/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/system_calls.h"

namespace weir::net {
namespace {

using namespace std::chrono_literals;
using test::NameServer;
using testing::StartsWith;

// Turns the loop until `done`, in real time: lookups happen on other threads.
template <class Condition>
auto turn_until(EventLoop& loop, Condition done) -> bool {
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    loop.run_once(1ms);
  }
  return true;
}

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() { NameServer::instance().reset(); }
  ~ResolverTest() override { NameServer::instance().open_gate(); }

  auto ask(const std::string& host, std::uint16_t port = 80) -> void {
    resolver_->resolve({host, port}, *loop_, [this](const Result<Addresses>& answer) {
      EXPECT_EQ(std::this_thread::get_id(), home_) << "not on the loop's thread";
      answers_.push_back(answer);
    });
  }
  auto answers_come(std::size_t count) -> bool {
    return turn_until(*loop_, [&] { return answers_.size() >= count; });
  }

  NameServer& names_ = NameServer::instance();
  std::thread::id home_ = std::this_thread::get_id();
  std::unique_ptr<EventLoop> loop_ = EventLoop::create(SystemClock::instance()).value();
  std::unique_ptr<SystemResolver> resolver_ = std::make_unique<SystemResolver>();
  std::vector<Result<Addresses>> answers_;
};

TEST_F(ResolverTest, LocalhostIsHereAtThePortAskedFor) {
  ask("localhost", 5432);
  EXPECT_TRUE(answers_.empty()) << "never within the call";
  ASSERT_TRUE(answers_come(1));
  ASSERT_TRUE(answers_[0]) << answers_[0].error().message;
  ASSERT_FALSE(answers_[0]->empty());
  for (const Address& address : *answers_[0]) {
    EXPECT_TRUE(address.host_string() == "127.0.0.1" || address.host_string() == "::1") << address.to_string();
    EXPECT_EQ(address.port(), 5432);
  }
}

TEST_F(ResolverTest, ANameThatDoesNotExistIsASentence) {
  ask("no-such-host.test");
  ASSERT_TRUE(answers_come(1));
  ASSERT_FALSE(answers_[0]);
  EXPECT_EQ(answers_[0].error().message, "cannot resolve \"no-such-host.test\": Name or service not known");
}

TEST_F(ResolverTest, ANameThatNoServerNeedsToBeAskedAboutFailsThroughTheRealLibrary) {
  ask("an..empty.label.invalid");
  ASSERT_TRUE(answers_come(1));
  ASSERT_FALSE(answers_[0]);
  EXPECT_THAT(answers_[0].error().message, StartsWith("cannot resolve \"an..empty.label.invalid\": "));
}

TEST_F(ResolverTest, WhoAsksForANameUnderLookupSharesTheAnswer) {
  names_.close_gate();
  for (int i = 0; i < 5; ++i) ask("db.test");
  ASSERT_TRUE(turn_until(*loop_, [&] { return names_.waiting() == 1; }));
  for (int i = 0; i < 5; ++i) ask("db.test");
  names_.open_gate();
  ASSERT_TRUE(answers_come(10));
  loop_->run_once(0ns);
  EXPECT_EQ(answers_.size(), 10u) << "each exactly once";
  EXPECT_EQ(names_.asked(), 1);
  for (const auto& answer : answers_) EXPECT_EQ(answer.value().at(0).to_string(), "192.0.2.1:80");

  ask("db.test");
  ASSERT_TRUE(answers_come(11));
  EXPECT_EQ(names_.asked(), 2) << "an answer is shared, never remembered";
}

TEST_F(ResolverTest, PortsAreNotMixedUp) {
  names_.close_gate();
  ask("db.test", 1);
  ask("db.test", 2);
  names_.open_gate();
  ASSERT_TRUE(answers_come(2));
  EXPECT_NE(answers_[0].value().at(0).port(), answers_[1].value().at(0).port());
}

TEST_F(ResolverTest, ADeadNameServerOccupiesAFewThreadsAndTheRestWaitTheirTurn) {
  names_.close_gate();
  for (int i = 0; i < 10; ++i) ask("host" + std::to_string(i) + ".test");
  ASSERT_TRUE(turn_until(*loop_, [&] { return names_.waiting() == SystemResolver::most_threads; }));
  loop_->run_once(5ms);
  EXPECT_EQ(names_.asked(), static_cast<int>(SystemResolver::most_threads));
  names_.open_gate();
  EXPECT_TRUE(answers_come(10));
}

TEST_F(ResolverTest, LoopsOfManyThreadsAreEachAnsweredOnTheirOwn) {
  names_.close_gate();
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const auto loop = EventLoop::create(SystemClock::instance()).value();
      int answers = 0;
      for (int i = 0; i < 20; ++i) {
        resolver_->resolve({"db.test", 80}, *loop, [&, home = std::this_thread::get_id()](const auto& answer) {
          ++answers;
          if (answer && std::this_thread::get_id() == home) ++right;
        });
      }
      EXPECT_TRUE(turn_until(*loop, [&] { return answers == 20; }));
    });
  }
  ASSERT_TRUE(turn_until(*loop_, [&] { return names_.waiting() == 1; }));
  names_.open_gate();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right.load(), 80);
}

TEST_F(ResolverTest, DestroyedWithALookupPendingItNeitherWaitsNorAnswers) {
  names_.close_gate();
  auto witness = std::make_shared<bool>(false);
  resolver_->resolve({"db.test", 80}, *loop_, [witness](const auto&) { *witness = true; });
  ASSERT_TRUE(turn_until(*loop_, [&] { return names_.waiting() == 1; }));
  resolver_.reset();
  EXPECT_EQ(witness.use_count(), 1) << "the caller's state is let go at once";
  loop_.reset();  // whoever posted to it now would be found by the sanitizers
  names_.open_gate();
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (names_.answered() < 1 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(names_.answered(), 1);
  EXPECT_FALSE(*witness);
}

#if !defined(__SANITIZE_THREAD__)
// In a child process that may make no thread, as under a container's pids limit.
TEST_F(ResolverTest, WithoutAThreadToBeHadTheLookupFailsWithAReason) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(2);  // root knows no such limit
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    ::setrlimit(RLIMIT_NPROC, &none);
    ask("db.test");
    if (!answers_come(1) || answers_[0]) ::_exit(3);
    const std::string wanted = "cannot resolve \"db.test\": no thread for the lookup: Resource temporarily unavailable";
    ::_exit(answers_[0].error().message == wanted ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

}  // namespace
}  // namespace weir::net
