#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "view/encode.h"
#include "view/scene.h"

namespace weir::view {
namespace {

using testing::HasSubstr;

TEST(TextView, ShowsASessionFromItsOpeningToItsEnd) {
  Scene scene(text());

  scene.opened(3);
  scene.after(1412us).up(3, "GET / HTTP/1.0\r\nHost: x\r\n\r\n");
  scene.after(41300us).down(3, "HTTP/1.0 200 OK\r\n");
  scene.after(12s).half_closed(3, Direction::downstream);
  scene.after(1s).closed(3, server_fin());

  EXPECT_EQ(scene.printed(),
            "-- 2023-11-14 (UTC+00:00)\n"
            "22:13:20.000000          #3 opened: client 127.0.0.1:51234, upstream 10.0.0.5:5432, connected in 412us\n"
            "22:13:20.001412  +1.41ms #3 → 27 bytes\n"
            "  GET / HTTP/1.0%0d%0a\n"
            "  Host: x%0d%0a\n"
            "  %0d%0a\n"
            "22:13:20.042712  +41.3ms #3 ← 17 bytes\n"
            "  HTTP/1.0 200 OK%0d%0a\n"
            "22:13:32.042712          #3 half-closed ←: the server has finished, the client may still send\n"
            "22:13:33.042712          #3 closed by server.fin after 1.88s; lasted 1.88s, → 100 bytes in 1 chunk, "
            "← 2000 bytes in 2 chunks, longest silence 1.50s\n");
}

TEST(TextView, WritesArrowsInAsciiWhereTheLocaleIsNotUtf8) {
  Scene scene({.kind = ViewKind::text, .utf8 = false});

  scene.up(1, "ab");
  scene.down(1, "c");

  EXPECT_EQ(scene.printed(),
            "-- 2023-11-14 (UTC+00:00)\n"
            "22:13:20.000000          #1 -> 2 bytes\n"
            "  ab\n"
            "22:13:20.000000      +0s #1 <- 1 byte\n"
            "  c\n");
}

TEST(TextView, EndsTheLineOfAChunkThatDoesNot) {
  Scene scene(text());

  scene.up(1, "one\ntwo");
  scene.up(1, "\n");
  scene.up(1, "\n\nx");

  EXPECT_THAT(scene.printed(), HasSubstr("#1 → 7 bytes\n  one%0a\n  two\n"
                                         "22:13:20.000000      +0s #1 → 1 byte\n  %0a\n"
                                         "22:13:20.000000      +0s #1 → 3 bytes\n  %0a\n  %0a\n  x\n"));
}

TEST(TextView, WritesEveryOtherByteAsPercentAndTwoLowerCaseDigits) {
  Scene scene(text());

  scene.up(1, "\x00\x1b[31m~\x7f\x80\xff 100% \xa9"sv);

  EXPECT_THAT(scene.printed(), HasSubstr("\n  %00%1b[31m~%7f%80%ff 100%25 %a9\n"));
}

TEST(TextView, MeasuresFromTheSessionsOwnLastChunk) {
  Scene scene(text());

  scene.opened(1);
  scene.after(10ms).opened(2);
  scene.after(5ms).up(1, "a");
  scene.after(20ms).down(2, "b");
  scene.after(300ms).down(1, "c");
  scene.after(90s).up(2, "d");

  const std::string printed = scene.printed();
  EXPECT_THAT(printed, HasSubstr(" +15.0ms #1 → 1 byte\n  a\n"));
  EXPECT_THAT(printed, HasSubstr(" +25.0ms #2 ← 1 byte\n  b\n"));
  EXPECT_THAT(printed, HasSubstr("  +320ms #1 ← 1 byte\n  c\n"));
  EXPECT_THAT(printed, HasSubstr("  +90.3s #2 → 1 byte\n  d\n"));
}

TEST(TextView, NamesTheCauseInTheWordsOfTheEvent) {
  Scene scene(text());

  scene.closed(7, refused());
  EXPECT_THAT(scene.printed(), HasSubstr("#7 closed by connect.refused after 1.20ms (10.0.0.5:5432: connection "
                                         "refused); client 127.0.0.1:51234, no upstream reached; lasted 1.20ms\n"));

  auto stalled = server_fin();
  stalled.cause = {.reason = event::CloseReason::timeout,
                   .timeout = event::TimeoutName::write_stall,
                   .leg = LegName::client,
                   .after = 60s};
  stalled.totals[index(Direction::downstream)].undelivered = 1500;
  scene.closed(8, stalled);
  EXPECT_THAT(scene.printed(), HasSubstr("#8 closed by write_stall after 60.0s on the client leg; lasted 1.88s, → 100 "
                                         "bytes in 1 chunk, ← 2000 bytes in 2 chunks (1500 undelivered), longest "
                                         "silence 1.50s\n"));
}

TEST(TextView, NamesTheLegOnlyWhereTheCauseDoesNot) {
  Scene scene(text());
  auto end = server_fin();
  end.cause.leg = LegName::server;
  scene.closed(1, end);
  EXPECT_THAT(scene.printed(), HasSubstr("#1 closed by server.fin after 1.88s; lasted"));
}

TEST(TextView, SaysWhatASlowViewHasMissed) {
  Scene scene(text());

  scene.gap({.chunks = 12, .bytes = 34567, .events = 1});
  EXPECT_EQ(scene.printed(),
            "-- 2023-11-14 (UTC+00:00)\n"
            "22:13:20.000000          gap: 12 chunks (34567 bytes) and 1 other event not shown: this view was too "
            "slow\n");

  scene.gap({.chunks = 1, .bytes = 1, .events = 0});
  EXPECT_EQ(scene.printed(), "22:13:20.000000          gap: 1 chunk (1 byte) not shown: this view was too slow\n");
}

TEST(TextView, SaysTheDateOnceADay) {
  Scene scene(text());

  scene.up(1, "a");
  scene.after(90min).up(1, "b");
  scene.after(30min).up(1, "c");

  EXPECT_EQ(scene.printed(),
            "-- 2023-11-14 (UTC+00:00)\n"
            "22:13:20.000000          #1 → 1 byte\n"
            "  a\n"
            "23:43:20.000000   +1h30m #1 → 1 byte\n"
            "  b\n"
            "-- 2023-11-15 (UTC+00:00)\n"
            "00:13:20.000000  +30m00s #1 → 1 byte\n"
            "  c\n");
}

TEST(TextView, ColoursLinesByWhatTheyAre) {
  auto options = text();
  options.color = true;
  Scene scene(options);

  scene.opened(1);
  scene.up(1, "a");
  scene.down(1, "b\n");
  scene.gap({.chunks = 1, .bytes = 5, .events = 0});

  EXPECT_EQ(scene.printed(),
            "\x1b[2m-- 2023-11-14 (UTC+00:00)\x1b[0m\n"
            "\x1b[1m22:13:20.000000          #1 opened: client 127.0.0.1:51234, upstream 10.0.0.5:5432, connected in "
            "412us\x1b[0m\n"
            "\x1b[36m22:13:20.000000      +0s #1 → 1 byte\x1b[0m\n"
            "  a\n"
            "\x1b[32m22:13:20.000000      +0s #1 ← 2 bytes\x1b[0m\n"
            "  b%0a\n"
            "\x1b[33m22:13:20.000000          gap: 1 chunk (5 bytes) not shown: this view was too slow\x1b[0m\n");
}

TEST(TextView, NamesTheProxyOnlyWhereThereAreSeveral) {
  auto options = text();
  options.proxies = {"only"};
  Scene alone(options);
  alone.up(1, "a");
  EXPECT_THAT(alone.printed(), HasSubstr(" #1 → 1 byte\n"));

  options.proxies = {"db", "cache"};
  Scene several(options);
  several.on_proxy(1);
  several.opened(1);
  several.up(1, "a");
  several.on_proxy(0);
  several.after(1s).up(1, "a");
  const std::string printed = several.printed();
  EXPECT_THAT(printed, HasSubstr(" cache#1 opened: "));
  EXPECT_THAT(printed, HasSubstr("     +0s cache#1 → 1 byte\n"));
  EXPECT_THAT(printed, HasSubstr("22:13:21.000000          db#1 → 1 byte\n"));  // another session, not seen before
}

// Undoes the encoding: the lines of one chunk, without their indent.
auto decode(std::string_view body) -> std::string {
  std::string bytes;
  while (!body.empty()) {
    const auto line_end = body.find('\n');
    std::string_view line = body.substr(indent.size(), line_end - indent.size());
    body.remove_prefix(line_end + 1);
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '%') {
        bytes += static_cast<char>(std::stoi(std::string(line.substr(i + 1, 2)), nullptr, 16));
        i += 2;
      } else {
        bytes += line[i];
      }
    }
  }
  return bytes;
}

TEST(TextView, CanBeReadBackByteForByte) {
  // Long enough for several pieces, with every byte value at every place in a word of eight.
  std::string payload;
  unsigned state = 1;
  while (payload.size() < 20'000) {
    state = state * 1'103'515'245 + 12'345;
    const unsigned draw = state >> 16;
    payload += draw % 3 == 0 ? static_cast<char>(draw >> 4) : static_cast<char>('a' + draw % 26);
  }
  for (const std::size_t size : {1UL, 2UL, 7UL, 8UL, 9UL, 63UL, 3071UL, 3072UL, 3073UL, 20'000UL}) {
    for (const std::string& end : {""s, "\n"s, "%"s}) {
      Scene scene(text());
      const std::string sent = payload.substr(0, size) + end;
      scene.up(1, sent);
      const std::string printed = scene.printed();
      EXPECT_EQ(decode(printed.substr(printed.find("\n  ") + 1)), sent) << size;
    }
  }
}

TEST(TextView, NeverLetsAPayloadPassForALineOfItsOwn) {
  Scene scene(text());

  scene.up(1, "x\n22:13:20.000000          #9 closed by client.reset after 1s\n");

  std::string printed = scene.printed();
  printed = printed.substr(printed.find("bytes\n") + 6);
  EXPECT_EQ(printed, "  x%0a\n  22:13:20.000000          #9 closed by client.reset after 1s%0a\n");
}

}  // namespace
}  // namespace weir::view
