#include "syslog/target.h"
#include "base/upstream_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::syslog {
namespace {

using testing::HasSubstr;

auto parsed(std::string_view text) -> Target {
  auto target = Target::parse(text);
  EXPECT_TRUE(target) << text << ": " << (target ? "" : target.error().message);
  return target ? *target : Target{};
}

auto error_of(std::string_view text) -> std::string {
  const auto target = Target::parse(text);
  return target ? "it was taken" : target.error().message;
}

TEST(Target, ThePlainOnes) {
  EXPECT_EQ(parsed("stderr").transport, Transport::standard_error);
  EXPECT_EQ(parsed("stdout").transport, Transport::standard_output);
  EXPECT_EQ(parsed("file:/var/log/weir.log").path, "/var/log/weir.log");
  EXPECT_EQ(parsed("file:weir.log").path, "weir.log");
}

TEST(Target, TheLocalDaemon) {
  const Target local = parsed("syslog:local3");
  EXPECT_EQ(local.transport, Transport::local);
  EXPECT_EQ(local.facility, static_cast<Facility>(19));
  EXPECT_EQ(local.least, Severity::debug);
  EXPECT_EQ(local.path, "/dev/log");
  EXPECT_EQ(local.form, Form::rfc3164) << "as syslog(3) writes";

  const Target other = parsed("syslog:daemon.warning@/run/x.sock?format=rfc5424");
  EXPECT_EQ(other.facility, Facility::daemon);
  EXPECT_EQ(other.least, Severity::warning);
  EXPECT_EQ(other.path, "/run/x.sock");
  EXPECT_EQ(other.form, Form::rfc5424);
}

TEST(Target, TheNetwork) {
  const Target udp = parsed("syslog+udp://logs.example");
  EXPECT_EQ(udp.transport, Transport::udp);
  EXPECT_EQ(udp.form, Form::rfc5424);
  EXPECT_EQ(udp.facility, Facility::daemon);
  EXPECT_EQ(std::get<UpstreamAddress::Name>(udp.address->target), (UpstreamAddress::Name{"logs.example", 514}));

  const Target tcp = parsed("syslog+tcp://[::1]:6514/?facility=local3&severity=err&format=rfc3164&framing=lf");
  EXPECT_EQ(std::get<Address>(tcp.address->target).to_string(), "[::1]:6514");
  EXPECT_EQ(tcp.facility, static_cast<Facility>(19));
  EXPECT_EQ(tcp.least, Severity::err);
  EXPECT_EQ(tcp.form, Form::rfc3164);
  EXPECT_EQ(tcp.framing, Framing::non_transparent);
  EXPECT_EQ(parsed("syslog+tcp://[::1]").framing, Framing::octet_counting);
  EXPECT_EQ(std::get<Address>(parsed("syslog+tcp://[::1]").address->target).to_string(), "[::1]:514");
}

TEST(Target, ASeverityTakesItselfAndTheMoreUrgent) {
  const Target warnings = parsed("syslog:local3.warning");
  EXPECT_TRUE(warnings.takes(LogLevel::error));
  EXPECT_TRUE(warnings.takes(LogLevel::warning));
  EXPECT_FALSE(warnings.takes(LogLevel::info));
  EXPECT_TRUE(parsed("syslog:local3").takes(LogLevel::debug));
}

TEST(Target, WhatIsWrongIsNamed) {
  EXPECT_THAT(error_of("syslog"), HasSubstr("write stderr, file:PATH, syslog:local3"));
  EXPECT_THAT(error_of("file:"), HasSubstr("write the file's path"));
  EXPECT_THAT(error_of("syslog:local9"), HasSubstr("there is no syslog facility \"local9\""));
  EXPECT_THAT(error_of("syslog:local3.loud"), HasSubstr("there is no syslog severity \"loud\""));
  EXPECT_THAT(error_of("syslog:local3@relative"), HasSubstr("write a socket's path after @"));
  EXPECT_THAT(error_of("syslog+udp://h:99999"), HasSubstr("\"syslog+udp://h:99999\": "));
  EXPECT_THAT(error_of("syslog+udp://"), HasSubstr("syslog+udp://"));
  EXPECT_THAT(error_of("syslog+udp://h?framing=lf"), HasSubstr("there is no option \"framing\""));
  EXPECT_THAT(error_of("syslog+tcp://h?format=4"), HasSubstr("format: write rfc5424 or rfc3164"));
  EXPECT_THAT(error_of("syslog:local3?facility=local4"), HasSubstr("there is no option \"facility\""));
}

}  // namespace
}  // namespace weir::syslog
