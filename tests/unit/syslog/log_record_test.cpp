#include "syslog/log_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "syslog/framing.h"
#include "syslog/message.h"

namespace weir::syslog {
namespace {

using testing::HasSubstr;
using testing::Not;

const Speaker speaker{.app = "weir", .host = "box", .procid = "42"};

auto record(std::string message, LogLevel level = LogLevel::info) -> LogRecord {
  return {.time = WallTime{std::chrono::microseconds{1'700'000'000'123'456}},
          .level = level,
          .message = std::move(message),
          .fields = {{"proxy", "db"}, {"why", "two words"}}};
}

auto as(const std::string& target, const LogRecord& what, const LineStyle& style = {}) -> std::string {
  return written(what, *Target::parse(target), style, speaker);
}

constexpr LineStyle json{.format = LineFormat::json};

TEST(LogRecord, OnATerminalAndInAFile) {
  EXPECT_EQ(as("stderr", record("fault.added")), "weir: fault.added proxy=db why=\"two words\"\n");
  EXPECT_EQ(as("stderr", record("careful", LogLevel::warning)), "weir: warning: careful proxy=db why=\"two words\"\n");
  EXPECT_EQ(as("file:x", record("fault.added")),
            "2023-11-14T22:13:20.123456Z info fault.added proxy=db why=\"two words\"\n");
}

TEST(LogRecord, ForWhoeverReadsItLaterTheTimeStandsInFrontAndTheRestIsTheSame) {
  const LineStyle with_time{.with_time = true};
  EXPECT_EQ(as("stderr", record("fault.added"), with_time),
            "2023-11-14T22:13:20.123Z " + as("stderr", record("fault.added")));
  EXPECT_EQ(as("stdout", record("careful", LogLevel::warning), with_time),
            "2023-11-14T22:13:20.123Z " + as("stdout", record("careful", LogLevel::warning)));
  EXPECT_EQ(as("file:x", record("fault.added"), with_time), as("file:x", record("fault.added"))) << "it has one";
  EXPECT_EQ(as("stderr", record("x"), {.format = LineFormat::json, .with_time = true}),
            as("stderr", record("x"), json));
  EXPECT_EQ(as("syslog:local3", record("x"), with_time), as("syslog:local3", record("x")));
}

TEST(LogRecord, AsJson) {
  EXPECT_EQ(as("stdout", record("it's \"so\""), json),
            R"({"time":"2023-11-14T22:13:20.123456Z","level":"info","message":"it's \"so\"","proxy":"db",)"
            R"("why":"two words"})"
            "\n");
}

TEST(LogRecord, AnyBytesAreJson) {
  const auto line = as("stdout", record("a\n\x01\"\\\xff\xC3\xA4\xed\xa0\x80"), json);
  EXPECT_THAT(line, HasSubstr("\"message\":\"a\\u000a\\u0001\\\"\\\\\\ufffd\xC3\xA4\\ufffd\\ufffd\\ufffd\""));
}

TEST(LogRecord, TheLocalDaemonGetsNoHost) {
  const auto message = parse(as("syslog:local3", record("fault.added")));
  EXPECT_EQ(message.form, Form::rfc3164);
  EXPECT_EQ(message.pri.number(), 158U) << "19 * 8 + 6";
  EXPECT_EQ(message.host, "");
  EXPECT_EQ(message.app, "weir");
  EXPECT_EQ(message.procid, "42");
  EXPECT_EQ(message.text, "fault.added proxy=db why=\"two words\"");
}

TEST(LogRecord, FieldsAreStructuredDataInTheNewForm) {
  const auto message = parse(as("syslog+udp://h?facility=local3", record("fault.added", LogLevel::error)));
  EXPECT_EQ(message.form, Form::rfc5424);
  EXPECT_EQ(message.pri.number(), 155U) << "19 * 8 + 3";
  EXPECT_EQ(message.timestamp, "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(message.host, "box");
  ASSERT_EQ(message.data.size(), 1U);
  EXPECT_EQ(message.data[0], (SdElement{"weir@32473", {{"proxy", "db"}, {"why", "two words"}}}));
  EXPECT_EQ(message.text, "fault.added");
  EXPECT_TRUE(message.anomalies.empty());
}

TEST(LogRecord, OverTcpItIsCounted) {
  const auto framed = as("syslog+tcp://h", record("hello"));
  FrameReader reader;
  reader.add(framed);
  const auto frame = reader.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->framing, Framing::octet_counting);
  EXPECT_EQ(parse(frame->text).text, "hello");
  EXPECT_FALSE(reader.rest());
  EXPECT_EQ(as("syslog+tcp://h?framing=lf", record("hello")).back(), '\n');
}

TEST(LogRecord, WhatAPeerSentCannotBeginALineOrASequence) {
  const auto evil = record(
      "name \"a\nb\x1b[31m\xC2\x9b"
      "2J\"");
  for (const char* target : {"stderr", "file:x", "syslog:local3", "syslog+udp://h"}) {
    const auto line = as(target, evil);
    EXPECT_THAT(line.substr(0, line.size() - 1), Not(HasSubstr("\n"))) << target;
    EXPECT_THAT(line, Not(HasSubstr("\x1b"))) << target;
    EXPECT_THAT(line, Not(HasSubstr("\xC2\x9b"))) << target;
  }
}

TEST(LogRecord, LongMessagesAreCutToWhatReceiversTake) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "\xC3\xA4";
  const auto datagram = as("syslog+udp://h", record(text));
  EXPECT_LE(datagram.size(), longest_datagram);
  EXPECT_GT(datagram.size(), longest_datagram - 4);
  const auto message = parse(datagram);
  EXPECT_TRUE(message.anomalies.empty()) << "the header is whole";
  EXPECT_EQ(message.text.size() % 2, 0U) << "no half a character";
  EXPECT_LE(as("syslog+udp://h?format=rfc3164", record(text)).size(), longest_rfc3164);
  EXPECT_LE(as("stderr", record(text)).size(), longest_message + 1);
}

}  // namespace
}  // namespace weir::syslog
