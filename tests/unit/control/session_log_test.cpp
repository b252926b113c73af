#include "control/session_log.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace weir::control {
namespace {

using namespace std::chrono_literals;

class Lines final : public Log {
 public:
  void write(LogLevel level, std::string_view message, std::span<const LogField> fields) override {
    std::string line = std::string(to_string(level)) + ": " + std::string(message);
    for (const auto& field : fields) line += " " + std::string(field.name) + "=" + std::string(field.value);
    lines.push_back(line);
  }
  [[nodiscard]] auto wants(LogLevel level) const -> bool override { return level >= LogLevel::info; }
  std::vector<std::string> lines;
};

TEST(SessionLog, AnUpstreamThatIsDownHasALineInTenSecondsThatCountsTheOthers) {
  ManualClock clock;
  Lines log;
  SessionLog sessions(log, clock);
  const auto fail = [&](std::uint32_t proxy) {
    const SessionWatch::Item item{
        .proxy = ProxyId{proxy}, .type = "session.closed", .data = {}, .upstream_unreached = true};
    sessions.write(item, {{"proxy", "db"}, {"cause", "connect.refused"}, {"detail", "[::1]:1: Connection refused"}});
  };
  const std::string line = "warning: the upstream cannot be reached: [::1]:1: Connection refused";
  const std::string fields = " proxy=db cause=connect.refused";
  for (int i = 0; i < 4; ++i) fail(1);
  EXPECT_EQ(log.lines, std::vector{line + fields});

  fail(2);
  EXPECT_EQ(log.lines.size(), 2U) << "another proxy has lines of its own";

  clock.advance(SessionLog::quiet_for);
  log.lines.clear();
  fail(1);
  fail(2);
  EXPECT_EQ(log.lines, (std::vector{line + "; nor could 3 sessions since the last such line" + fields, line + fields}));
}

}  // namespace
}  // namespace weir::control
