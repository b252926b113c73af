// Waits that end: a program that does not, a lock that somebody keeps.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "cni/spec/child.h"
#include "cni/spec/waits.h"

namespace weir::cni {
namespace {

auto shell(const std::string& script, int seconds) -> Child::Outcome {
  auto child = Child::start("/bin/sh", {"sh", "-c", script}, {}, seconds);
  EXPECT_TRUE(child);
  return child->finish();
}

TEST(Child_, ThatNeverEndsIsKilledWithAllThatItStarted) {
  const auto outcome = shell("echo $$; sleep 100000; true", 1);
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_FALSE(outcome.good());
  EXPECT_EQ(outcome.words(), "it had not ended after 1 s and was killed: try again later");
  const pid_t group = std::atoi(outcome.out.c_str());
  ASSERT_GT(group, 1);
  // A process that was killed is a member until somebody has waited for it, which takes a moment for its child.
  const auto end = clock_ms() + 10'000;
  while (::kill(-group, 0) == 0 && clock_ms() < end) {
  }
  EXPECT_EQ(::kill(-group, 0), -1);
  EXPECT_EQ(errno, ESRCH);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // nobody is left to be waited for
}

TEST(Child_, ThatClosedItsStreamsHasNoMoreTime) {
  EXPECT_TRUE(shell("exec </dev/null >/dev/null 2>&1; exec sleep 100000", 1).timed_out);
}

TEST(Child_, IsNotWaitedForWhenOnlyWhatItStartedIsLeft) {
  const auto outcome = shell("echo said; sleep 100 & exit 3", 60);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.out, "said\n");
  EXPECT_EQ(outcome.words(), "exit status 3");
}

TEST(Child_, SaysAllBeforeItEnds) {
  const auto outcome = shell("head -c 3000000 /dev/zero | tr '\\0' x; echo wrong >&2", 60);
  EXPECT_TRUE(outcome.good());
  EXPECT_EQ(outcome.out.size(), 3'000'000U);
  EXPECT_EQ(outcome.err, "wrong\n");
}

TEST(LockWithin, EndsWhenTheTimeIsUp) {
  std::string path = testing::TempDir() + "weir-lock-XXXXXX";
  const Fd keeper(::mkstemp(path.data()));
  ASSERT_TRUE(lock_within(keeper.get(), LOCK_EX, 1));
  const Fd other(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto began = clock_ms();
  EXPECT_FALSE(lock_within(other.get(), LOCK_EX, 1));
  EXPECT_EQ(errno, EWOULDBLOCK);
  EXPECT_GE(clock_ms() - began, 900);
  ASSERT_EQ(::flock(keeper.get(), LOCK_UN), 0);
  EXPECT_TRUE(lock_within(other.get(), LOCK_EX, 1));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace weir::cni
