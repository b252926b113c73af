// Addresses, hashes, JSON: the small values of the plugins.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cni/spec/arguments.h"
#include "cni/spec/ip.h"
#include "cni/spec/json.h"
#include "cni/spec/sha512.h"
#include "cni/spec/utf8.h"

namespace weir::cni {
namespace {

auto shown(std::string_view text) -> std::string {
  const auto ip = Ip::parse(text);
  return ip ? ip->to_string() : "none";
}

TEST(Ip, IsWrittenAsRfc5952Says) {
  EXPECT_EQ(shown("10.1.0.2"), "10.1.0.2");
  EXPECT_EQ(shown("2001:DB8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");     // the first of two equal runs
  EXPECT_EQ(shown("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");  // one group alone stays
  EXPECT_EQ(shown("::"), "::");
  EXPECT_EQ(shown("::1"), "::1");
  EXPECT_EQ(shown("1::"), "1::");
  EXPECT_EQ(shown("::ffff:10.0.0.1"), "10.0.0.1");
  for (const auto* wrong : {"", "10.1.0", "10.01.0.2", "256.0.0.1", "fe80::1%eth0", "1:2", "10.1.0.2 "}) {
    EXPECT_EQ(shown(wrong), "none") << wrong;
  }
}

TEST(Ip, StepsAcrossBytes) {
  EXPECT_EQ(Ip::parse("10.0.255.255")->next().to_string(), "10.1.0.0");
  EXPECT_EQ(Ip::parse("10.1.0.0")->previous().to_string(), "10.0.255.255");
  EXPECT_EQ(Ip::parse("fd00::ffff:ffff:ffff:ffff")->next().to_string(), "fd00:0:0:1::");
}

TEST(Prefix, KeepsHostBitsAndChecksItsLength) {
  EXPECT_EQ(Prefix::parse("10.1.2.3/16")->to_string(), "10.1.2.3/16");
  EXPECT_EQ(Prefix::parse("10.1.2.3/20")->network().to_string(), "10.1.0.0/20");
  EXPECT_EQ(Prefix::parse("10.1.2.3/00024")->to_string(), "10.1.2.3/24");
  EXPECT_EQ(Prefix::parse("0.0.0.0/0")->to_string(), "0.0.0.0/0");
  EXPECT_TRUE(Prefix::parse("10.1.0.0/16")->contains(*Ip::parse("10.1.255.1")));
  EXPECT_FALSE(Prefix::parse("10.1.0.0/16")->contains(*Ip::parse("fd00::1")));
  for (const auto* wrong : {"10.1.2.3", "10.1.2.3/", "10.1.2.3/33", "10.1.2.3/033", "10.01.2.3/24", "10.1.2.3/0x8",
                            "10.1.2.3/+8", "fd00::/129", "10.1.2.3/-1"}) {
    EXPECT_FALSE(Prefix::parse(wrong)) << wrong;
  }
}

TEST(Prefix, HasAMaskInHex) {
  EXPECT_EQ(Prefix::parse("10.5.0.0/16")->mask_digits(), "ffff0000");
  EXPECT_EQ(Prefix::parse("0.0.0.0/0")->mask_digits(), "00000000");
  EXPECT_EQ(Prefix::parse("10.5.0.0/23")->mask_digits(), "fffffe00");
  EXPECT_EQ(Prefix::parse("fd00::/65")->mask_digits(), "ffffffffffffffff8000000000000000");
}

TEST(Mac, IsReadInGosThreeForms) {
  const Mac wanted{0, 0x1a, 0xff, 3, 4, 5};
  for (const auto* text : {"00:1a:ff:03:04:05", "00-1A-FF-03-04-05", "001a.ff03.0405"}) {
    EXPECT_EQ(parse_mac(text), wanted) << text;
  }
  for (const auto* wrong : {"", "zz", "00:1a:ff:03:04", "00:1a-ff:03:04:05", "001a:ff03:0405", "00:1a:ff:03:04:0g"}) {
    EXPECT_FALSE(parse_mac(wrong)) << wrong;
  }
  EXPECT_EQ(to_string(wanted), "00:1a:ff:03:04:05");
}

TEST(Sha512, HasTheStandardsOwnExamples) {
  // FIPS 180-4's examples, and lengths about the edge of a block.
  EXPECT_EQ(sha512_hex("abc", 32), "ddaf35a193617abacc417349ae204131");
  EXPECT_EQ(sha512_hex("", 32), "cf83e1357eefb8bdf1542850d66d8007");
  EXPECT_EQ(
      sha512_hex("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmno"
                 "pqrstnopqrstu",
                 32),
      "8e959b75dae313da8cf4f72814fc143f");
}

TEST(Utf8, ReplacesWhatIsNotWellFormed) {
  EXPECT_EQ(valid_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(valid_utf8("\xff"), "\xef\xbf\xbd");
  EXPECT_EQ(valid_utf8("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd");       // overlong
  EXPECT_EQ(valid_utf8("\xed\xa0\x80").substr(0, 3), "\xef\xbf\xbd");  // surrogate
  EXPECT_EQ(valid_utf8("x\xe2\x82"), "x\xef\xbf\xbd\xef\xbf\xbd");     // cut
}

TEST(Utf8, HalfASurrogatePairIsReplaced) {
  EXPECT_EQ(without_lone_surrogates(R"("\ud83d\ude00 \uD83D\uDE00")"), R"("\ud83d\ude00 \uD83D\uDE00")") << "a pair";
  EXPECT_EQ(without_lone_surrogates(R"("\ud800")"), R"("\ufffd")");
  EXPECT_EQ(without_lone_surrogates(R"("\udc00\ud800x\ud800\ud800\udc00")"), R"("\ufffd\ufffdx\ufffd\ud800\udc00")");
  EXPECT_EQ(without_lone_surrogates(R"("\ud800\n\u0041")"), R"("\ufffd\n\u0041")");
  EXPECT_EQ(without_lone_surrogates(R"("\\ud800")"), R"("\\ud800")") << "an escaped backslash";
  for (const auto* text : {R"("\ud8)", R"("\ud80g")", R"("\u+d80")", "\"\\", ""})
    EXPECT_EQ(without_lone_surrogates(text), text);
  EXPECT_EQ(parse_json(R"({"x":"\ud800"})")->at("x"), "\xef\xbf\xbd");
}

TEST(Json, IsReadAsGoReadsIt) {
  const auto json = parse_json(R"({"A":1,"b":null,"c":2,"c":3,"Exact":4,"exact":5})");
  ASSERT_TRUE(json);
  EXPECT_EQ(*member(*json, "a"), 1);
  EXPECT_EQ(member(*json, "B"), nullptr);
  EXPECT_EQ(*member(*json, "c"), 3);
  EXPECT_EQ(*member(*json, "exact"), 5);
  EXPECT_EQ(parse_json("{\"a\":").error().msg, "unexpected end of JSON input");
  EXPECT_EQ(parse_json("").error().msg, "unexpected end of JSON input");
  EXPECT_THAT(parse_json("{\"a\":x}").error().msg, testing::StartsWith("invalid character 'x'"));
  EXPECT_FALSE(parse_json(std::string(65, '[') + std::string(65, ']')));
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')));
  EXPECT_TRUE(parse_json("[\"" + std::string(100, '[') + "\"]"));
}

TEST(Json, IsRefusedInTheWordsOfGo) {
  using namespace std::string_view_literals;
  const std::pair<std::string_view, std::string_view> refusals[] = {
      {"", "unexpected end of JSON input"},
      {" {\"a\":", "unexpected end of JSON input"},
      {"\"a", "unexpected end of JSON input"},
      {"garbage", "invalid character 'g' looking for beginning of value"},
      {"{\"a\":\xc3\xa9}", "invalid character '\xc3\x83' looking for beginning of value"},
      {"\xff", "invalid character '\xc3\xbf' looking for beginning of value"},
      {"\x85", "invalid character '\\u0085' looking for beginning of value"},
      {"'a'", "invalid character '\\'' looking for beginning of value"},
      {"[1,]", "invalid character ']' looking for beginning of value"},
      {"{\"a\":1}{\"b\":2}", "invalid character '{' after top-level value"},
      {"{\"a\":1}\n\0"sv, "invalid character '\\x00' after top-level value"},
      {"{\"a\":\0 1}"sv, "invalid character '\\x00' looking for beginning of value"},
      {"{\"a\0\":1}"sv, "invalid character '\\x00' in string literal"},
      {"{a:1}", "invalid character 'a' looking for beginning of object key string"},
      {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
      {"{\"a\" 1}", "invalid character '1' after object key"},
      {"{\"a\":[{}] \"b\"}", "invalid character '\"' after object key:value pair"},
      {"[\"a\" \"b\"]", "invalid character '\"' after array element"},
      {"[\"a\nb\"]", "invalid character '\\n' in string literal"},
      {"\"\\x\"", "invalid character 'x' in string escape code"},
      {"\"\\u00g0\"", "invalid character 'g' in \\u hexadecimal character escape"},
      {"trux", "invalid character 'x' in literal true (expecting 'e')"},
      {"[nul]", "invalid character ']' in literal null (expecting 'l')"},
      {"-x", "invalid character 'x' in numeric literal"},
      {"01", "invalid character '1' after top-level value"},
      {"1.}", "invalid character '}' after decimal point in numeric literal"},
      {"1e+}", "invalid character '}' in exponent of numeric literal"},
      {"1e999", "JSON input has a number that is too large"},
  };
  for (const auto& [text, words] : refusals) {
    const auto json = parse_json(text);
    ASSERT_FALSE(json) << text;
    EXPECT_EQ(json.error().msg, words) << text;
    EXPECT_EQ(json.error().code, static_cast<unsigned>(ErrorCode::decoding));
  }
  EXPECT_EQ(parse_json(R"({"a":"\u0000"})")->at("a"), "\0"sv);
}

TEST(Json, IsPrintedInUtf8WhateverItHolds) {
  Json json = Json::object();
  json["k\xff"] = "a\xff\xc3\xa4";
  EXPECT_EQ(print_json(json, {}, true), "{\"k\xef\xbf\xbd\":\"a\xef\xbf\xbd\xc3\xa4\"}");
}

TEST(Quotes, AreGos) {
  EXPECT_EQ(in_quotes("a \"b\" \\"), R"("a \"b\" \\")");
  EXPECT_EQ(in_quotes("\a\b\f\n\r\t\v\x01\x7f"), R"("\a\b\f\n\r\t\v\x01\x7f")");
  EXPECT_EQ(in_quotes("\xff\xc3\xa4\xc3"), "\"\\xff\xc3\xa4\\xc3\"");
}

TEST(Json, NamesTheMemberAndWhatItTakes) {
  const auto json = parse_json(R"({"mtu":"x","on":1,"vlan":5000,"big":18446744073709551615,"list":[1]})");
  const Reader reader(*json, "config: ", "outer");
  EXPECT_EQ(reader.integer("mtu", 0, 9).error().msg,
            "config: outer.mtu: expected an integer from 0 to 9, got the string \"x\"");
  EXPECT_EQ(reader.boolean("on").error().msg, "config: outer.on: expected true or false, got the number 1");
  EXPECT_FALSE(reader.integer("vlan", 0, 4094));
  EXPECT_FALSE(reader.integer("big", 0, INT64_MAX));
  EXPECT_FALSE(reader.strings("list"));
  EXPECT_EQ(reader.string("absent")->value_or("none"), "none");
}

TEST(Arguments, KnowBothPluginsKeys) {
  const auto good = Arguments::parse("IP=10.1.0.5;MAC=02:00:00:00:00:01;K8S_POD_NAME=p");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->value("IP"), "10.1.0.5");
  EXPECT_EQ(good->value("MAC"), "02:00:00:00:00:01");
  EXPECT_EQ(Arguments::parse("A=1;B=2").error().msg, "ARGS: unknown args [\"A=1\" \"B=2\"]");
  for (const auto* yes : {"true", "TRUE", "tRuE", "1"}) {
    EXPECT_TRUE(Arguments::parse(text({"A=1;IgnoreUnknown=", yes}))) << yes;
  }
  for (const auto* no : {"false", "False", "0"}) {
    EXPECT_EQ(Arguments::parse(text({"A=1;IgnoreUnknown=", no})).error().msg, "ARGS: unknown args [\"A=1\"]") << no;
  }
  EXPECT_EQ(Arguments::parse("IgnoreUnknown=T").error().msg,
            "ARGS: error parsing value of pair \"IgnoreUnknown=T\": boolean unmarshal error: invalid input t");
  EXPECT_FALSE(Arguments::parse("IgnoreUnknown="));
  EXPECT_EQ(Arguments::parse("IP=1;x").error().msg, "ARGS: invalid pair \"x\"");
  EXPECT_EQ(Arguments::parse("IP=1=2").error().msg, "ARGS: invalid pair \"IP=1=2\"");
  EXPECT_TRUE(Arguments::parse(""));
}

}  // namespace
}  // namespace weir::cni
