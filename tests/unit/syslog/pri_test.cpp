#include "syslog/pri.h"

#include <gtest/gtest.h>

namespace weir::syslog {
namespace {

TEST(Pri, IsFacilityTimesEightPlusSeverity) {
  EXPECT_EQ(Pri::parse("local3.info")->number(), 158U);
  EXPECT_EQ(Pri::parse("158")->to_string(), "local3.info");
  EXPECT_EQ(Pri::parse("<34>")->to_string(), "auth.crit");
}

TEST(Pri, EveryNumberSurvivesItsText) {
  for (unsigned number = 0; number <= 191; ++number) {
    const auto pri = Pri::from_number(number);
    ASSERT_TRUE(pri);
    const auto again = Pri::parse(pri->to_string());
    ASSERT_TRUE(again) << pri->to_string();
    EXPECT_EQ(again->number(), number);
  }
  EXPECT_FALSE(Pri::from_number(192));
}

TEST(Pri, KnowsTheAliasesInAnyCase) {
  EXPECT_EQ(Pri::parse("security.panic")->number(), 32U);
  EXPECT_EQ(Pri::parse("AUTHPRIV.Warn")->number(), 84U);
  EXPECT_EQ(Pri::parse("cron2.informational")->number(), 126U);
  EXPECT_EQ(Pri::parse("console.critical")->number(), 114U);
  EXPECT_EQ(Pri::parse("13.error")->to_string(), "13.err");
}

TEST(Pri, SaysWhatIsWrong) {
  EXPECT_NE(Pri::parse("192").error().message.find("0 to 191"), std::string::npos);
  EXPECT_NE(Pri::parse("local8.info").error().message.find("no syslog facility \"local8\""), std::string::npos);
  EXPECT_NE(Pri::parse("local3.loud").error().message.find("no syslog severity \"loud\""), std::string::npos);
  EXPECT_FALSE(Pri::parse(""));
  EXPECT_FALSE(Pri::parse("<>"));
  EXPECT_FALSE(Pri::parse("0158"));
}

}  // namespace
}  // namespace weir::syslog
