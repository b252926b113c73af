// --only, --limit and --filter-client, and what a view keeps while it needs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "view/printing_view.h"
#include "view/scene.h"

namespace weir::view {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

auto text(std::string_view client = "") -> ViewOptions {
  ViewOptions options{.kind = ViewKind::text, .utf8 = true};
  if (!client.empty()) options.filter = ClientFilter::parse(client).value();
  return options;
}

TEST(Only, LeavesOutTheOtherDirectionsChunksAndKeepsSessionLines) {
  auto options = text();
  options.only = Direction::downstream;
  Scene scene(options);

  scene.opened(1);
  scene.after(1ms).up(1, "question");
  scene.after(1ms).down(1, "answer");
  scene.half_closed(1, Direction::upstream);
  scene.closed(1, server_fin());

  EXPECT_THAT(scene.printed(), AllOf(HasSubstr("#1 opened"), Not(HasSubstr("question")),
                                     // since the last chunk that was shown, or the opening: not the question
                                     HasSubstr(" +2.00ms #1 ← 6 bytes\n  answer\n"), HasSubstr("#1 half-closed →"),
                                     HasSubstr("#1 closed by")));
}

TEST(Limit, SaysHowManyBytesWereCut) {
  auto options = text();
  options.limit = 5;
  Scene scene(options);

  scene.up(1, "12345");
  scene.up(1, "123456");
  scene.up(1, std::string(5000, 'x'));

  EXPECT_THAT(scene.printed(),
              AllOf(HasSubstr("#1 → 5 bytes\n  12345\n"), HasSubstr("#1 → 6 bytes, 1 of them cut\n  12345\n"),
                    HasSubstr("#1 → 5000 bytes, 4995 of them cut\n  xxxxx\n")));
}

TEST(Limit, OfNothingLeavesTheHeaders) {
  for (const ViewKind kind : {ViewKind::text, ViewKind::hex, ViewKind::dump}) {
    Scene scene({.kind = kind, .limit = 0, .utf8 = true});
    scene.up(1, "abc");
    EXPECT_EQ(scene.printed(),
              "-- 2023-11-14 (UTC+00:00)\n"
              "22:13:20.000000          #1 → 3 bytes, 3 of them cut\n");
  }
}

TEST(Limit, HoldsInHexAndDump) {
  Scene hex({.kind = ViewKind::hex, .limit = 2, .utf8 = true});
  hex.up(1, "abc");
  EXPECT_THAT(hex.printed(), HasSubstr("→ 3 bytes, 1 of them cut\n  61 62\n"));

  Scene dump({.kind = ViewKind::dump, .limit = 2, .utf8 = true});
  dump.up(1, "abc");
  EXPECT_THAT(dump.printed(), HasSubstr("cut\n  00000000  61 62                                             |ab|\n"));
}

TEST(FilterClient, LeavesOutAllOfOtherClientsSessions) {
  Scene scene(text("10.1.0.0/16"));

  scene.opened(1, ip("10.1.2.3", 1000));
  scene.opened(2, ip("10.2.2.3", 1000));
  scene.up(1, "mine");
  scene.up(2, "other");
  scene.half_closed(2, Direction::upstream);
  scene.half_closed(1, Direction::upstream);
  auto end = server_fin();
  end.client = ip("10.2.2.3", 1000);
  scene.closed(2, end);
  end.client = ip("10.1.2.3", 1000);
  scene.closed(1, end);

  const std::string printed = scene.printed();
  EXPECT_THAT(printed, AllOf(HasSubstr("#1 opened"), HasSubstr("mine"), HasSubstr("#1 half"), HasSubstr("#1 closed")));
  EXPECT_THAT(printed, AllOf(Not(HasSubstr("#2")), Not(HasSubstr("other"))));
}

TEST(FilterClient, KnowsASessionThatNeverOpenedByItsClient) {
  Scene scene(text("10.1.2.3"));
  scene.closed(1, refused(ip("10.1.2.3", 1)));
  scene.closed(2, refused(ip("10.1.2.4", 1)));
  EXPECT_THAT(scene.printed(), AllOf(HasSubstr("#1 closed by connect.refused"), Not(HasSubstr("#2"))));
}

TEST(FilterClient, LeavesOutWhatItCannotKnowToMatch) {
  Scene scene(text("10.1.2.3"));
  scene.up(9, "opened before the view was there");
  EXPECT_EQ(scene.printed(), "");
}

TEST(FilterClient, HoldsInEveryView) {
  for (const ViewKind kind : {ViewKind::hex, ViewKind::dump, ViewKind::json, ViewKind::raw}) {
    auto options = text("unix");
    options.kind = kind;
    Scene scene(options);
    scene.opened(1);
    scene.up(1, "over TCP");
    scene.closed(1, server_fin());
    EXPECT_EQ(scene.printed(), "") << to_string(kind);
    scene.opened(2, unix_socket(""));
    scene.up(2, "local");
    EXPECT_NE(scene.printed(), "") << to_string(kind);
  }
}

TEST(FilterClient, TellsSessionsOfTwoProxiesApart) {
  Scene scene(text("10.1.2.3"));
  scene.opened(1, ip("10.1.2.3", 1));
  scene.on_proxy(1);
  scene.up(1, "not mine");
  EXPECT_THAT(scene.printed(), Not(HasSubstr("not mine")));
}

TEST(WhatAViewKeeps, IsBoundedByTheSessionsThatLive) {
  for (const auto& options : {text(), text("127.0.0.1")}) {
    Scene scene(options);
    const auto& view = dynamic_cast<const PrintingView&>(scene.view());
    for (std::uint64_t n = 1; n <= 1000; ++n) {
      scene.opened(n);
      scene.up(n, "x");
      if (n > 10) scene.closed(n - 10, server_fin());
      ASSERT_LE(view.live_sessions(), 11u);
    }
    for (std::uint64_t n = 991; n <= 1000; ++n) scene.closed(n, server_fin());
    EXPECT_EQ(view.live_sessions(), 0u);
  }
}

TEST(WhatAViewKeeps, HoldsNoSessionOfOtherClients) {
  Scene scene(text("10.0.0.1"));
  scene.opened(1);
  scene.up(1, "x");
  EXPECT_EQ(dynamic_cast<const PrintingView&>(scene.view()).live_sessions(), 0u);
}

TEST(WhatAViewKeeps, IsNothingWhereNothingIsNeeded) {
  for (const ViewKind kind : {ViewKind::json, ViewKind::raw}) {
    Scene scene({.kind = kind});
    scene.opened(1);
    scene.up(1, "x");
    EXPECT_EQ(dynamic_cast<const PrintingView&>(scene.view()).live_sessions(), 0u);
  }
}

TEST(RequiredEvents, AreThoseAViewPrints) {
  using event::EventKind;
  for (const ViewKind kind : {ViewKind::text, ViewKind::hex, ViewKind::dump, ViewKind::json}) {
    EXPECT_EQ(required_events({.kind = kind}),
              EventKind::session_opened | EventKind::chunk_read | EventKind::half_closed | EventKind::session_closed);
  }
  EXPECT_EQ(required_events({.kind = ViewKind::raw}), static_cast<event::EventMask>(EventKind::chunk_read));
  auto filtered = text("unix");
  filtered.kind = ViewKind::raw;
  EXPECT_EQ(required_events(filtered), EventKind::session_opened | EventKind::chunk_read | EventKind::session_closed);
  EXPECT_EQ(required_events({.kind = ViewKind::none}), 0);
}

}  // namespace
}  // namespace weir::view
