// Objects without a lock know the thread that they belong to.
#include "base/home_thread.h"

#include <gtest/gtest.h>

#include <thread>

namespace weir {
namespace {

TEST(HomeThread, TheThreadThatMadeItMayCall) {
  const HomeThread home;
  home.check("net::Thing");
  std::thread([] {
    const HomeThread its_own;
    its_own.check("net::Thing");
  }).join();
}

TEST(HomeThreadDeathTest, AnyOtherThreadIsNamedAndEndsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const HomeThread home;
  EXPECT_DEATH(std::thread([&] { home.check("net::Thing"); }).join(),
               "^weir: net::Thing was called on a thread that it does not belong to; this is a bug in weir\n$");
}

}  // namespace
}  // namespace weir
