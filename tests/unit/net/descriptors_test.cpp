#include "net/descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/fd.h"

namespace weir::net {
namespace {

auto next_descriptor() -> Fd { return Fd(::open("/", O_PATH | O_CLOEXEC)); }

class Descriptors : public testing::Test {
 protected:
  ~Descriptors() override { set_descriptor_ceiling(no_descriptor_ceiling); }
};

TEST_F(Descriptors, AreShortFromTheFirstThatIsKeptUntilALowerOneIsFree) {
  Fd lower = next_descriptor();
  set_descriptor_ceiling(lower.get() + 1);
  EXPECT_FALSE(is_kept_descriptor(lower.get()));
  EXPECT_FALSE(descriptors_are_short());
  Fd kept = next_descriptor();
  EXPECT_FALSE(descriptors_are_short()) << "nobody has told of one yet, and the kernel is not asked each time";
  EXPECT_TRUE(is_kept_descriptor(kept.get()));
  EXPECT_TRUE(descriptors_are_short());
  lower.reset();
  EXPECT_FALSE(descriptors_are_short());
}

TEST_F(Descriptors, ThatArePromisedCountAsMade) {
  const Fd lower = next_descriptor();
  set_descriptor_ceiling(lower.get() + 2);
  EXPECT_FALSE(is_kept_descriptor(lower.get()));
  {
    const PromisedDescriptor one;
    const PromisedDescriptor other;
    EXPECT_TRUE(is_kept_descriptor(lower.get()));
    EXPECT_TRUE(descriptors_are_short());
  }
  EXPECT_FALSE(descriptors_are_short());
}

TEST_F(Descriptors, AQuarterIsKept) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto is_first_kept = [&](rlim_t limit, int first) {
    const rlimit now{.rlim_cur = limit, .rlim_max = before.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &now) != 0) return true;  // not within the hard limit of this machine
    keep_descriptors_for_control();
    return is_kept_descriptor(first) && !is_kept_descriptor(first - 1);
  };
  EXPECT_TRUE(is_first_kept(200, 150));
  EXPECT_TRUE(is_first_kept(10'000, 8'800));
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace weir::net
