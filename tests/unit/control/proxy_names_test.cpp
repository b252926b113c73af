#include <gtest/gtest.h>

#include "control/observers.h"

namespace weir::control {
namespace {

TEST(ProxyNames, OfProxiesThatAreGoneAreForgottenInTurn) {
  ProxyNames names;
  constexpr std::uint32_t stays = 0;
  names.add(ProxyId{stays}, "stays");
  constexpr std::uint32_t many = ProxyNames::gone_remembered;
  for (std::uint32_t id = 1; id <= many + 1; ++id) {
    names.add(ProxyId{id}, "p" + std::to_string(id));
    names.remove(ProxyId{id});
  }
  EXPECT_EQ(names.name(ProxyId{stays}), "stays");
  EXPECT_EQ(names.name(ProxyId{1}), "") << "or each would cost its memory for ever";
  EXPECT_EQ(names.name(ProxyId{2}), "p2") << "its last events may still be on their way";
}

}  // namespace
}  // namespace weir::control
