// The words of the command line, the terminal's facts, and times as text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/duration.h"
#include "view/cursor.h"
#include "view/scene.h"
#include "view/wall_stamp.h"

namespace weir::view {
namespace {

TEST(ViewKind, IsKnownByItsName) {
  for (const ViewKind kind :
       {ViewKind::text, ViewKind::hex, ViewKind::dump, ViewKind::json, ViewKind::raw, ViewKind::none}) {
    EXPECT_EQ(parse_view_kind(to_string(kind)).value(), kind);
  }
  EXPECT_EQ(parse_view_kind("jsno").error().message,
            "\"jsno\" is not a view: choose text, hex, dump, json, raw or none");
  EXPECT_FALSE(parse_view_kind(""));
}

TEST(OnlyOption, NamesADirection) {
  EXPECT_EQ(parse_direction("upstream").value(), Direction::upstream);
  EXPECT_EQ(parse_direction("downstream").value(), Direction::downstream);
  EXPECT_EQ(parse_direction("up").error().message,
            "\"up\" is not a direction: choose upstream (client to server) or downstream (server to client)");
}

TEST(Color, IsAutoAlwaysOrNever) {
  EXPECT_EQ(parse_color_mode("auto").value(), ColorMode::automatic);
  EXPECT_EQ(parse_color_mode("always").value(), ColorMode::always);
  EXPECT_EQ(parse_color_mode("never").value(), ColorMode::never);
  EXPECT_EQ(parse_color_mode("yes").error().message, "\"yes\" is not a colour mode: choose auto, always or never");
}

TEST(Color, AutoNeedsATerminalThatShowsItAndNoNoColor) {
  const auto automatic = [](TerminalFacts facts) { return resolve_color(ColorMode::automatic, facts); };
  EXPECT_TRUE(automatic({.is_terminal = true, .term = "xterm"}));
  EXPECT_FALSE(automatic({.is_terminal = false, .term = "xterm"}));
  EXPECT_FALSE(automatic({.is_terminal = true, .no_color = "1", .term = "xterm"}));
  EXPECT_TRUE(automatic({.is_terminal = true, .no_color = "", .term = "xterm"})) << "an empty NO_COLOR does not count";
  EXPECT_FALSE(automatic({.is_terminal = true, .term = "dumb"}));
  EXPECT_FALSE(automatic({.is_terminal = true}));
}

TEST(Color, AnExplicitModeStandsAboveTheEnvironment) {
  EXPECT_TRUE(resolve_color(ColorMode::always, {.is_terminal = false, .no_color = "1", .term = "dumb"}));
  EXPECT_FALSE(resolve_color(ColorMode::never, {.is_terminal = true, .term = "xterm"}));
}

TEST(Color, OfAFileIsOff) {
  const Fd file(::memfd_create("file", MFD_CLOEXEC));
  EXPECT_FALSE(resolve_color(ColorMode::automatic, file.get()));
  EXPECT_TRUE(resolve_color(ColorMode::always, file.get()));
}

TEST(Locale, IsUtf8ByTheFirstVariableThatIsSet) {
  EXPECT_TRUE(is_utf8_locale(nullptr, nullptr, "en_US.UTF-8"));
  EXPECT_TRUE(is_utf8_locale(nullptr, "C.utf8", "C"));
  EXPECT_TRUE(is_utf8_locale("", "", "de_DE.UTF-8@euro"));
  EXPECT_FALSE(is_utf8_locale("C", "en_US.UTF-8", "en_US.UTF-8"));
  EXPECT_FALSE(is_utf8_locale(nullptr, nullptr, "en_US.ISO-8859-1"));
  EXPECT_FALSE(is_utf8_locale(nullptr, nullptr, "POSIX"));
  EXPECT_FALSE(is_utf8_locale(nullptr, nullptr, nullptr));
}

auto hot_duration(Nanos duration) -> std::string {
  std::array<char, Cursor::longest_duration> text{};
  Cursor cursor(text.data());
  cursor.duration(duration);
  return {text.data(), cursor.at()};
}

TEST(Cursor, WritesDurationsAsBaseDoes) {
  for (const Nanos duration :
       {0ns,           1ns,           999ns,     1000ns,      9994ns,    9995ns,           99949ns,
        99950ns,       999'499ns,     999'500ns, 1'000'000ns, 412'000ns, 9'994'999ns,      9'995'000ns,
        999'499'999ns, 999'500'000ns, Nanos{1s}, Nanos{90s},  Nanos{2h}, Nanos{24h * 3652}}) {
    EXPECT_EQ(hot_duration(duration), format_duration(duration));
  }
  std::mt19937_64 random(7);
  for (int i = 0; i < 100'000; ++i) {
    const auto ns = static_cast<std::int64_t>(random() >> (30 + random() % 34));
    if (ns % 5 == 0) continue;  // may be an exact tie, which the two round differently
    ASSERT_EQ(hot_duration(Nanos{ns}), format_duration(Nanos{ns})) << ns;
  }
}

TEST(LocalStamp, FollowsTheZoneAndSaysWhenTheDateOrTheOffsetChanges) {
  set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
  LocalStamp stamp;
  const WallTime before_summer{1'711'846'799s + 999'999'999ns};  // 2024-03-31T00:59:59Z
  EXPECT_TRUE(stamp.set(before_summer));
  EXPECT_EQ(stamp.time_text(), "01:59:59.999999");
  EXPECT_EQ(stamp.date_text(), "2024-03-31 (UTC+01:00)");
  EXPECT_FALSE(stamp.set(before_summer)) << "said already";
  EXPECT_TRUE(stamp.set(before_summer + 1us));
  EXPECT_EQ(stamp.time_text(), "03:00:00.000000");
  EXPECT_EQ(stamp.date_text(), "2024-03-31 (UTC+02:00)");
  EXPECT_FALSE(stamp.set(before_summer + 20h));
  EXPECT_EQ(stamp.time_text(), "22:59:59.999999");

  set_zone("NST3:30");
  LocalStamp west;
  EXPECT_TRUE(west.set(before_summer));
  EXPECT_EQ(west.date_text(), "2024-03-30 (UTC-03:30)");
  set_zone("UTC0");
}

TEST(UtcStamp, IsRfc3339WhateverTheZone) {
  set_zone("CET-1");
  UtcStamp stamp;
  stamp.set(WallTime{1'700'000'000s + 42us + 999ns});
  EXPECT_EQ(stamp.text(), "2023-11-14T22:13:20.000042Z");
  stamp.set(WallTime{1'700'000'000s + 43us});
  EXPECT_EQ(stamp.text(), "2023-11-14T22:13:20.000043Z");
  stamp.set(WallTime{1'709'251'200s});
  EXPECT_EQ(stamp.text(), "2024-03-01T00:00:00.000000Z");
  stamp.set(WallTime{-1ns});
  EXPECT_EQ(stamp.text(), "1969-12-31T23:59:59.999999Z");
  set_zone("UTC0");
}

}  // namespace
}  // namespace weir::view
