#include "engine/lag_report.h"

#include <gmock/gmock.h>

namespace weir::engine {
namespace {

using std::chrono::seconds;

auto at(int second) -> MonoTime { return MonoTime{} + seconds{1000 + second}; }
auto dropped(std::uint64_t chunks, std::uint64_t bytes) -> ObserverLag {
  return {.dropped = {chunks, bytes}, .held_up = 0, .first = {}};
}
auto holds(std::size_t sessions, std::uint64_t first) -> ObserverLag {
  return {.dropped = {}, .held_up = sessions, .first = SessionNumber{first}};
}

TEST(LagReport, what_is_not_shown_is_told_at_most_every_ten_seconds) {
  LagReport report;
  EXPECT_EQ(report.look(at(0), {}), std::nullopt);
  EXPECT_EQ(report.look(at(1), dropped(1, 1000)), "the view's reader is too slow: 1 chunk (1.00 kB) not shown so far");
  EXPECT_EQ(report.look(at(2), dropped(5, 5000)), std::nullopt) << "it was told a second ago";
  EXPECT_EQ(report.look(at(11), dropped(5, 5000)),
            "the view's reader is too slow: 5 chunks (5.00 kB) not shown so far");
  EXPECT_EQ(report.look(at(30), dropped(5, 5000)), std::nullopt) << "nothing is new";
}

TEST(LagReport, sessions_that_stand_still_are_told_with_who_and_how_long) {
  LagReport report;
  EXPECT_EQ(report.look(at(0), holds(1, 7)), std::nullopt) << "a reader may be late once";
  EXPECT_EQ(report.look(at(1), holds(1, 7)),
            "the view's reader is too slow and holds up session 7, for 1.00s so far; --when-slow drop would not");
  EXPECT_EQ(report.look(at(2), holds(3, 7)), std::nullopt);
  EXPECT_EQ(report.look(at(11), holds(3, 7)),
            "the view's reader is too slow and holds up 3 sessions, session 7 first, for 11.0s so far; "
            "--when-slow drop would not");
}

TEST(LagReport, a_reader_that_goes_on_begins_anew) {
  LagReport report;
  EXPECT_EQ(report.look(at(0), holds(1, 7)), std::nullopt);
  EXPECT_EQ(report.look(at(1), {}), std::nullopt);
  EXPECT_EQ(report.look(at(2), holds(1, 7)), std::nullopt);
}

TEST(ObserverHolds, are_told_with_who_what_and_the_way_out) {
  ObserverHold hold{.observer = "watch", .reader = "127.0.0.1:4711", .way_out = "end it"};
  hold.sessions = 2;
  hold.longest = seconds{5};
  EXPECT_EQ(describe(hold), "watch of 127.0.0.1:4711 has made no room for 5.00s and holds up 2 sessions: end it");
  hold.listeners = 1;
  EXPECT_EQ(describe(hold),
            "watch of 127.0.0.1:4711 has made no room for 5.00s and holds up 2 sessions and 1 listener: end it");
  hold.reader.clear();
  hold.observer = "/tmp/pipe";
  hold.sessions = 0;
  EXPECT_EQ(describe(hold), "/tmp/pipe has made no room for 5.00s and holds up 1 listener: end it");
}

}  // namespace
}  // namespace weir::engine
