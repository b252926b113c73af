#include "base/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <type_traits>

namespace weir {
namespace {

auto open_null() -> int { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
auto is_open(int fd) -> bool { return ::fcntl(fd, F_GETFD) != -1; }

static_assert(!std::is_copy_constructible_v<Fd> && !std::is_copy_assignable_v<Fd>);

TEST(Fd, ClosesItsDescriptorWhenItGoes) {
  const int raw = open_null();
  ASSERT_GE(raw, 0);
  {
    const Fd fd(raw);
    EXPECT_TRUE(fd);
    EXPECT_EQ(fd.get(), raw);
    EXPECT_TRUE(is_open(raw));
  }
  EXPECT_FALSE(is_open(raw));
}

TEST(Fd, OfNoneIsFalse) {
  EXPECT_FALSE(Fd());
  EXPECT_EQ(Fd().get(), -1);
  EXPECT_FALSE(Fd(-1));
}

TEST(Fd, MovesItsDescriptorAndClosesTheOneItHad) {
  const int first = open_null();
  const int second = open_null();
  Fd a(first);
  Fd b(second);
  a = std::move(b);
  EXPECT_FALSE(is_open(first));
  EXPECT_EQ(a.get(), second);
  EXPECT_TRUE(is_open(second));
  const Fd c(std::move(a));
  EXPECT_EQ(c.get(), second);
  EXPECT_TRUE(is_open(second));
}

TEST(Fd, SurvivesBeingMovedToItself) {
  Fd a(open_null());
  const int raw = a.get();
  Fd& same = a;
  a = std::move(same);
  EXPECT_EQ(a.get(), raw);
  EXPECT_TRUE(is_open(raw));
}

TEST(Fd, GivesItsDescriptorUpOpen) {
  Fd a(open_null());
  const int raw = a.release();
  EXPECT_FALSE(a);
  EXPECT_TRUE(is_open(raw));
  a.reset(raw);
  a.reset();
  EXPECT_FALSE(is_open(raw));
}

}  // namespace
}  // namespace weir
