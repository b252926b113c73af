#include "base/duration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace weir {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ParseDuration, TakesEveryUnit) {
  EXPECT_EQ(parse_duration("100ns").value(), 100ns);
  EXPECT_EQ(parse_duration("40us").value(), 40us);
  EXPECT_EQ(parse_duration("250ms").value(), 250ms);
  EXPECT_EQ(parse_duration("3s").value(), 3s);
  EXPECT_EQ(parse_duration("10m").value(), 10min);
  EXPECT_EQ(parse_duration("2h").value(), 2h);
  EXPECT_EQ(parse_duration("1d").value(), 24h);
}

TEST(ParseDuration, TakesFractions) {
  EXPECT_EQ(parse_duration("1.5s").value(), 1500ms);
  EXPECT_EQ(parse_duration("0.001ms").value(), 1us);
  EXPECT_EQ(parse_duration("2.5m").value(), 150s);
  EXPECT_EQ(parse_duration("0.4ns").value(), 0ns) << "rounded to whole nanoseconds";
}

TEST(ParseDuration, TakesZeroWithOrWithoutAUnit) {
  EXPECT_EQ(parse_duration("0").value(), 0ns);
  EXPECT_EQ(parse_duration("0s").value(), 0ns);
}

TEST(ParseDuration, RefusesWhatIsNoDuration) {
  for (const auto* text :
       {"",      "5",    "1.5",   "s",   "ms",   "-1s",  "+1s",   " 1s",    "1s ", "1 s", "1S",  "1sec",
        "1m30s", "1e3s", "0x10s", "inf", "infs", "nans", "1..5s", "1.5.2s", ".s",  ".",   "off", "1\xc2\xb5s"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message,
              fmt::format("\"{}\" is not a duration: write a number and a unit, such as 250ms, 1.5s, 10m or 2h", text));
  }
}

TEST(ParseDuration, EndsAtTenYears) {
  EXPECT_TRUE(parse_duration("3652d"));
  for (const auto* text : {"3653d", "87661h", "99999999999999999999999d"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message, fmt::format("\"{}\" is longer than 10 years: use \"off\" for no limit", text));
  }
}

TEST(ParseDurationOrOff, KnowsOffFromNothing) {
  EXPECT_EQ(parse_duration_or_off("off").value(), std::nullopt);
  EXPECT_EQ(parse_duration_or_off("0").value(), std::optional<Nanos>(0ns));
  EXPECT_EQ(parse_duration_or_off("30s").value(), std::optional<Nanos>(30s));
  EXPECT_FALSE(parse_duration_or_off("Off"));
  EXPECT_FALSE(parse_duration_or_off(""));
}

TEST(FormatDuration, UsesTheUnitThatFitsAndThreeFigures) {
  const std::pair<Nanos, const char*> expected[] = {
      {0ns, "0s"},       {1ns, "1ns"},         {999ns, "999ns"},      {1us, "1.00us"},     {41'300ns, "41.3us"},
      {250us, "250us"},  {999'499ns, "999us"}, {999'500ns, "1.00ms"}, {9'994us, "9.99ms"}, {9'995us, "10.0ms"},
      {250ms, "250ms"},  {1s, "1.00s"},        {1'500ms, "1.50s"},    {9'994ms, "9.99s"},  {9'995ms, "10.0s"},
      {30s, "30.0s"},    {90s, "90.0s"},       {119'900ms, "119.9s"}, {120s, "2m00s"},     {750s, "12m30s"},
      {3599s, "59m59s"}, {1h, "1h00m"},        {3h + 5min, "3h05m"},  {50h, "50h00m"},     {-41'300ns, "-41.3us"},
  };
  for (const auto& [duration, text] : expected) EXPECT_EQ(format_duration(duration), text);
}

TEST(CanonicalDuration, IsShortAndReadsBackTheSame) {
  EXPECT_EQ(canonical_duration(0ns), "0");
  EXPECT_EQ(canonical_duration(90s), "90s");
  EXPECT_EQ(canonical_duration(60s), "1m");
  EXPECT_EQ(canonical_duration(1h), "1h");
  EXPECT_EQ(canonical_duration(24h), "24h");
  EXPECT_EQ(canonical_duration(1500ms), "1500ms");
  EXPECT_EQ(canonical_duration(1ns), "1ns");
  EXPECT_EQ(canonical_duration(1'000'001ns), "1000001ns");
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const Nanos duration{static_cast<std::int64_t>(random() % 4'000'000'000'000'000)};  // 46 days
    ASSERT_EQ(parse_duration(canonical_duration(duration)).value(), duration);
  }
}

TEST(ParseSize, CountsInPowersOf1024ButForKbMbGb) {
  const std::pair<const char*, std::uint64_t> expected[] = {{"0", 0},
                                                            {"4096", 4096},
                                                            {"4096B", 4096},
                                                            {"64k", 65'536},
                                                            {"64K", 65'536},
                                                            {"64KiB", 65'536},
                                                            {"64kB", 64'000},
                                                            {"64KB", 64'000},
                                                            {"10M", 10'485'760},
                                                            {"10MiB", 10'485'760},
                                                            {"10MB", 10'000'000},
                                                            {"1G", 1'073'741'824},
                                                            {"1GiB", 1'073'741'824},
                                                            {"1GB", 1'000'000'000},
                                                            {"1T", 1'099'511'627'776},
                                                            {"1TiB", 1'099'511'627'776},
                                                            {"2TB", 2'000'000'000'000},
                                                            {"1.5k", 1536}};
  for (const auto& [text, bytes] : expected) EXPECT_EQ(parse_size(text).value(), bytes) << text;
}

TEST(ParseSize, RefusesWhatIsNoSize) {
  for (const auto* text : {"", "k", "-1", "+1", "1 k", " 1", "1kb", "1kib", "1KIB", "1P", "1e3", "0x10", "ten", "."}) {
    const auto parsed = parse_size(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().message, StartsWith(fmt::format("\"{}\" is not a size: write a number of bytes", text)));
  }
  EXPECT_THAT(parse_size("10000000T").error().message, HasSubstr("more than 9 EB"));
}

TEST(FormatSize, UsesPowersOf1000AndThreeFigures) {
  const std::pair<std::uint64_t, const char*> expected[] = {{0, "0 B"},
                                                            {296, "296 B"},
                                                            {999, "999 B"},
                                                            {1000, "1.00 kB"},
                                                            {41'500, "41.5 kB"},
                                                            {999'499, "999 kB"},
                                                            {999'500, "1.00 MB"},
                                                            {1'200'000, "1.20 MB"},
                                                            {3'000'000'000, "3.00 GB"},
                                                            {5'000'000'000'000, "5.00 TB"},
                                                            {1'234'000'000'000'000, "1234 TB"}};
  for (const auto& [bytes, text] : expected) EXPECT_EQ(format_size(bytes), text);
}

}  // namespace
}  // namespace weir
