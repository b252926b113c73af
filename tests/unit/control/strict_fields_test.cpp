#include "control/strict_fields.h"

#include <gtest/gtest.h>

namespace weir::control {
namespace {

TEST(StrictFields, AnUnknownKeyIsRefusedWithTheNearestKnownOne) {
  const Json object = Json::parse(R"({"lisen":1})");
  const StrictFields fields(object, "proxies[1]", {"name", "listen"});
  ASSERT_TRUE(fields.error());
  EXPECT_EQ(fields.error()->path, "proxies[1].lisen");
  EXPECT_EQ(fields.error()->message, "there is no key \"lisen\" here; did you mean \"listen\"?");
}

TEST(StrictFields, WhatIsLikeNothingGetsTheList) {
  EXPECT_EQ(unknown_key("zzzzzzzz", {"name", "listen"}),
            "there is no key \"zzzzzzzz\" here; the keys are name, listen");
}

TEST(StrictFields, TheFirstThingWrongStays) {
  const Json object = Json::parse(R"({"a":1,"b":"x"})");
  StrictFields fields(object, "", {"a", "b"});
  EXPECT_EQ(fields.text("a"), std::nullopt);
  EXPECT_EQ(fields.number("b", 0, 9), std::nullopt);
  EXPECT_EQ(fields.error()->sentence(), "a: write a text in quotes, not 1");
}

TEST(StrictFields, NumbersHaveARange) {
  const Json object = Json::parse(R"({"a":10,"b":-1,"c":1.5})");
  EXPECT_EQ(StrictFields(object, "", {"a", "b", "c"}).number("a", 1, 10), 10u);
  for (const char* key : {"b", "c"}) {
    StrictFields fields(object, "", {"a", "b", "c"});
    EXPECT_EQ(fields.number(key, 0, 10), std::nullopt);
    EXPECT_TRUE(fields.error());
  }
}

TEST(Json, AWholeNumberBeyondSixtyFourBitsIsNone) {
  EXPECT_EQ(integer_of(Json::parse("9223372036854775807")), INT64_MAX);
  EXPECT_EQ(integer_of(Json::parse("-9223372036854775808")), INT64_MIN);
  for (const char* text : {"9223372036854775808", "18446744073709551616", "1.0", "\"1\"", "null", "true"}) {
    EXPECT_EQ(integer_of(Json::parse(text)), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace weir::control
