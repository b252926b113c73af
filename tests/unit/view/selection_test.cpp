// --only and --limit, what a view keeps while it needs it, and what is put into its rings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "view/printing_view.h"
#include "view/scene.h"

namespace weir::view {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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

TEST(WhatAViewKeeps, IsBoundedByTheSessionsThatLive) {
  Scene scene(text());
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

TEST(WhatAViewKeeps, IsForgottenWhereEndsWereMissed) {
  Scene scene(text());
  scene.opened(1);
  scene.gap({.chunks = 3, .bytes = 30, .events = 0});
  EXPECT_EQ(dynamic_cast<const PrintingView&>(scene.view()).live_sessions(), 1u);
  scene.gap({.chunks = 0, .bytes = 0, .events = 1});
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
    EXPECT_EQ(required_events({.kind = kind}), EventKind::session_opened | EventKind::chunk_read |
                                                   EventKind::chunk_bytes | EventKind::half_closed |
                                                   EventKind::session_closed);
  }
  EXPECT_EQ(required_events({.kind = ViewKind::raw}), EventKind::chunk_read | EventKind::chunk_bytes);
  EXPECT_EQ(required_events({.kind = ViewKind::none}), 0U);
}

TEST(RingOptions, LeaveOutWhatIsNotShown) {
  auto options = text();
  options.only = Direction::downstream;
  options.filter = {.client = ClientFilter::parse("10.1.0.0/16").value(), .session = SessionNumber{4}};
  const auto ring = ring_options(options, event::FullPolicy::drop);
  EXPECT_EQ(ring.policy, event::FullPolicy::drop);
  EXPECT_EQ(ring.mask, required_events(options));
  EXPECT_FALSE(ring.directions[index(Direction::upstream)]);
  EXPECT_TRUE(ring.directions[index(Direction::downstream)]);
  EXPECT_TRUE(ring.filter.matches(SessionNumber{4}, ip("10.1.2.3", 1)));
  EXPECT_FALSE(ring.filter.matches(SessionNumber{4}, ip("10.2.2.3", 1)));
  EXPECT_FALSE(ring.filter.matches(SessionNumber{5}, ip("10.1.2.3", 1)));
}

TEST(FullPolicies, AreTwo) {
  EXPECT_EQ(parse_full_policy("block").value(), event::FullPolicy::block);
  EXPECT_EQ(parse_full_policy("drop").value(), event::FullPolicy::drop);
  EXPECT_EQ(parse_full_policy("wait").error().message, "write drop or block");
}

}  // namespace
}  // namespace weir::view
