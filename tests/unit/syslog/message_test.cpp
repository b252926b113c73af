#include "syslog/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::syslog {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

const WallTime noon{std::chrono::seconds{1'065'910'455}};  // 2003-10-11T22:14:15Z

TEST(ParseSyslog, ReadsAllFieldsOfRfc5424) {
  const auto message =
      parse(R"(<165>1 2003-10-11T22:14:15.003Z host.example evntslog 8710 ID47 [a@32473 x="1" y="q\"\]\\n\x"][b] )"
            "\xEF\xBB\xBF"
            "An event");
  EXPECT_EQ(message.form, Form::rfc5424);
  EXPECT_EQ(message.pri.to_string(), "local4.notice");
  EXPECT_EQ(message.timestamp, "2003-10-11T22:14:15.003Z");
  EXPECT_EQ(message.host, "host.example");
  EXPECT_EQ(message.app, "evntslog");
  EXPECT_EQ(message.procid, "8710");
  EXPECT_EQ(message.msgid, "ID47");
  EXPECT_EQ(message.data, (std::vector<SdElement>{{"a@32473", {{"x", "1"}, {"y", "q\"]\\n\\x"}}}, {"b", {}}}));
  EXPECT_TRUE(message.bom);
  EXPECT_EQ(message.text, "An event");
  EXPECT_THAT(message.anomalies, IsEmpty());
}

TEST(ParseSyslog, NilFieldsAreEmpty) {
  const auto message = parse("<0>1 - - - - - -");
  EXPECT_EQ(message.form, Form::rfc5424);
  EXPECT_EQ(message.host + message.app + message.procid + message.msgid + message.timestamp + message.text, "");
  EXPECT_THAT(message.anomalies, IsEmpty());
}

TEST(ParseSyslog, ReadsRfc3164WithAndWithoutHost) {
  const auto message = parse("<34>Oct  1 22:14:15 mymachine su[77]: 'su root' failed\n");
  EXPECT_EQ(message.form, Form::rfc3164);
  EXPECT_EQ(message.host, "mymachine");
  EXPECT_EQ(message.app, "su");
  EXPECT_EQ(message.procid, "77");
  EXPECT_EQ(message.text, "'su root' failed");
  const auto local = parse("<34>Oct 11 22:14:15 su[77]: hello");
  EXPECT_EQ(local.host, "");
  EXPECT_EQ(local.app, "su");
  EXPECT_EQ(local.text, "hello");
  const auto bare = parse("<34>Oct 11 22:14:15 cron: hello");
  EXPECT_EQ(bare.host, "");
  EXPECT_EQ(bare.app, "cron");
}

TEST(ParseSyslog, MalformedInputIsToldAndNeverFatal) {
  struct Case {
    std::string line;
    Form form;
    unsigned pri;
    Anomaly anomaly;
    std::string text;
  };
  const std::vector<Case> cases{
      {"just words", Form::plain, 13, Anomaly::no_pri, "just words"},
      {"<192>Oct 11 22:14:15 h t: x", Form::plain, 13, Anomaly::bad_pri, "<192>Oct 11 22:14:15 h t: x"},
      {"<>x", Form::plain, 13, Anomaly::bad_pri, "<>x"},
      {"<1234>x", Form::plain, 13, Anomaly::bad_pri, "<1234>x"},
      {"<013>Oct 11 22:14:15 h t: x", Form::rfc3164, 13, Anomaly::leading_zero_pri, "x"},
      {"<165>2 2003-10-11T22:14:15Z h - - - - x", Form::plain, 165, Anomaly::unknown_version,
       "2 2003-10-11T22:14:15Z h - - - - x"},
      {"<165>1 yesterday h a p m - x", Form::rfc5424, 165, Anomaly::bad_timestamp, "x"},
      {"<165>1 2003-10-11T22:14:60Z h a p m - x", Form::rfc5424, 165, Anomaly::bad_timestamp, "x"},
      {"<165>1 2003-10-11T22:14:15.1234567Z h a p m - x", Form::rfc5424, 165, Anomaly::bad_timestamp, "x"},
      {"<165>1 2003-10-11t22:14:15Z h a p m - x", Form::rfc5424, 165, Anomaly::bad_timestamp, "x"},
      {R"(<165>1 - h a p m [x y="z)", Form::rfc5424, 165, Anomaly::bad_structured_data, R"([x y="z)"},
      {R"(<165>1 - h a p m [x y="a]b"] t)", Form::rfc5424, 165, Anomaly::bad_structured_data, R"([x y="a]b"] t)"},
      {"<165>1 - h", Form::rfc5424, 165, Anomaly::bad_field, ""},
      {"<34>{\"a\":1}", Form::plain, 34, Anomaly::no_header, "{\"a\":1}"},
      {"<34>Oct 11 22:14:15 h t: a\x01", Form::rfc3164, 34, Anomaly::control_character, "a\x01"},
  };
  for (const Case& each : cases) {
    const auto message = parse(each.line);
    EXPECT_EQ(message.form, each.form) << each.line;
    EXPECT_EQ(message.pri.number(), each.pri) << each.line;
    EXPECT_THAT(message.anomalies, Contains(each.anomaly)) << each.line;
    EXPECT_EQ(message.text, each.text) << each.line;
  }
  EXPECT_EQ(parse("").text, "");
}

TEST(EncodeSyslog, Rfc5424ReadsBack) {
  const Message message{.pri = *Pri::parse("local3.info"),
                        .host = "a host",
                        .app = "weir",
                        .procid = "12",
                        .data = {{"weir@32473", {{"session", "4"}, {"why", "a \"quoted\" ] \\ text"}}}},
                        .text = "over"};
  const std::string line = encode_rfc5424(message, noon);
  EXPECT_EQ(line, R"(<158>1 2003-10-11T22:14:15.000000Z a?host weir 12 - )"
                  R"([weir@32473 session="4" why="a \"quoted\" \] \\ text"] over)");
  const auto again = parse(line);
  EXPECT_THAT(again.anomalies, IsEmpty());
  EXPECT_EQ(again.data, message.data);
  EXPECT_EQ(again.text, "over");
}

TEST(EncodeSyslog, Rfc3164IsOneLine) {
  const Message message{
      .pri = *Pri::parse("user.err"), .timestamp = "Oct  1 22:14:15", .app = "weir", .procid = "12", .text = "a\nb"};
  EXPECT_EQ(encode_rfc3164(message, noon), "<11>Oct  1 22:14:15 weir[12]: a b");
}

TEST(EncodeSyslog, FieldsAreCutToTheirLongest) {
  const Message message{.host = std::string(300, 'h'), .app = std::string(60, 'a'), .msgid = std::string(40, 'm')};
  const auto again = parse(encode_rfc5424(message, noon));
  EXPECT_EQ(again.host.size(), 255U);
  EXPECT_EQ(again.app.size(), 48U);
  EXPECT_EQ(again.msgid.size(), 32U);
  EXPECT_THAT(again.anomalies, IsEmpty());
}

}  // namespace
}  // namespace weir::syslog
