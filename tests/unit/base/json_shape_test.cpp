#include "base/json_shape.h"

#include <gtest/gtest.h>

#include <string>

namespace weir {
namespace {

auto nested(std::size_t levels) -> std::string { return std::string(levels, '[') + std::string(levels, ']'); }

TEST(JsonShapeTest, DepthIsBounded) {
  EXPECT_EQ(judge_json_shape(nested(most_json_levels)), JsonShape::fine);
  EXPECT_EQ(judge_json_shape(nested(most_json_levels + 1)), JsonShape::too_deep);
  std::string side_by_side = "[";
  for (int i = 0; i < 1000; ++i) side_by_side += nested(most_json_levels - 1) + ",";
  EXPECT_EQ(judge_json_shape(side_by_side), JsonShape::fine);
  EXPECT_EQ(judge_json_shape("]]]]" + nested(most_json_levels)), JsonShape::fine) << "closing what was never open";
}

TEST(JsonShapeTest, MembersOfOneObjectAreBounded) {
  EXPECT_EQ(judge_json_shape(R"({"a":1,"b":2})", 2), JsonShape::fine);
  EXPECT_EQ(judge_json_shape(R"({"a":1,"b":2,"c":3})", 2), JsonShape::too_wide);
  EXPECT_EQ(judge_json_shape(R"({"a":1,"b":2,"c":3})"), JsonShape::fine);
  EXPECT_EQ(judge_json_shape(R"([{"a":1,"b":{"c":1,"d":[{"e":1}]}},{"a":1,"b":2}])", 2), JsonShape::fine);
  EXPECT_EQ(judge_json_shape(R"({"a":{"b":1,"c":2},"d":{"e":1},"f":1})", 2), JsonShape::too_wide) << "the outer one";
  EXPECT_EQ(judge_json_shape("[1,2,3,4,5]", 2), JsonShape::fine);
}

TEST(JsonShapeTest, WhatStandsInStringsIsNoShape) {
  EXPECT_EQ(judge_json_shape("\"" + nested(1000) + "\""), JsonShape::fine);
  EXPECT_EQ(judge_json_shape(R"({"a":":::\":::","b":"\\"})", 2), JsonShape::fine);
  EXPECT_EQ(judge_json_shape("\"\\\"" + nested(100) + "\""), JsonShape::fine);
  EXPECT_EQ(judge_json_shape("\"\\\\\"" + nested(100)), JsonShape::too_deep) << "the string ended before";
  EXPECT_EQ(judge_json_shape("\"\\"), JsonShape::fine) << "an escape without its character";
}

}  // namespace
}  // namespace weir
