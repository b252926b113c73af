#include "api/go_json.h"

#include <gtest/gtest.h>

namespace weir::api {
namespace {

TEST(GoJson, TheFirstValueOfABodyCounts) {
  EXPECT_EQ(parse_go_json(R"( {"a":1} {"b":2} rubbish)")->dump(), R"({"a":1})");
}

TEST(GoJson, ErrorsHaveGosWords) {
  EXPECT_EQ(parse_go_json("").error().message, "EOF");
  EXPECT_EQ(parse_go_json(" \n").error().message, "EOF");
  EXPECT_EQ(parse_go_json(R"({"a":)").error().message, "unexpected EOF");
  EXPECT_EQ(parse_go_json("xyz").error().message, "invalid character 'x' looking for beginning of value");
}

TEST(GoJson, ShapesThatWouldCostTooMuchAreRefused) {
  const std::string deep = R"({"a":)" + std::string(64, '[') + std::string(64, ']') + "}";
  EXPECT_EQ(parse_go_json(deep).error().message, "json: it is nested deeper than 64 levels");
  std::string wide = "{";
  for (std::size_t i = 0; i < control::most_json_members; ++i) wide += fmt::format(R"("{}":0,)", i);
  EXPECT_EQ(parse_go_json(wide + R"("999":1})").error().message, "json: it has an object of more than 1000 members")
      << "a key that comes again has to be looked up as well";
  wide.back() = '}';
  EXPECT_TRUE(parse_go_json(wide));
}

TEST(GoJson, KeysMatchInAnyCaseAndNullIsAbsent) {
  const Json object = Json::parse(R"({"NAME":"x","listen":null,"other":[1]})");
  GoFields fields(object, "Proxy");
  EXPECT_EQ(fields.text("name"), "x");
  EXPECT_EQ(fields.text("listen"), std::nullopt);
  EXPECT_EQ(fields.error(), "");
}

TEST(GoJson, AnIntegerIsWrittenAsOne) {
  const Json object = Json::parse(R"({"a":1000,"b":1000.0,"c":18446744073709551615,"d":-3})");
  GoFields good(object, "T");
  EXPECT_EQ(good.integer("a"), 1000);
  EXPECT_EQ(good.integer("d"), -3);
  for (const char* key : {"b", "c"}) {
    GoFields fields(object, "T");
    EXPECT_EQ(fields.integer(key), std::nullopt);
    EXPECT_NE(fields.error(), "") << key;
  }
}

TEST(GoJson, AWrongTypeIsNamed) {
  const Json object = Json::parse(R"({"enabled":"yes"})");
  GoFields fields(object, "Proxy");
  EXPECT_EQ(fields.flag("enabled"), std::nullopt);
  EXPECT_EQ(fields.error(), "json: cannot unmarshal string into Go struct field Proxy.enabled of type bool");
}

TEST(GoJson, NoWordOfALibraryIsSaid) {
  for (const char* text : {"1e999", "{\"a\":1e999}", "\"\xff\"", "[1,]", "{\"a\"}", "nul"}) {
    const auto value = parse_go_json(text);
    ASSERT_FALSE(value) << text;
    EXPECT_EQ(value.error().message.find("exception"), std::string::npos) << value.error().message;
  }
}

}  // namespace
}  // namespace weir::api
