// The words users match: names of timeouts, and how a session ended.
#include <gtest/gtest.h>

#include <set>

#include "base/duration.h"
#include "event/close_cause.h"
#include "event/timeout_name.h"

namespace weir::event {
namespace {

using namespace std::chrono_literals;

TEST(TimeoutCatalog, HasOneRowPerNameInOrder) {
  const auto& catalog = timeout_catalog();
  std::set<std::string_view> texts;
  for (std::size_t i = 0; i < catalog.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(catalog[i].name), i) << catalog[i].text;
    EXPECT_FALSE(catalog[i].meaning.empty()) << catalog[i].text;
    texts.insert(catalog[i].text);
  }
  EXPECT_EQ(texts, (std::set<std::string_view>{
                       "handshake", "resolve", "connect", "connect.attempt", "first_byte.client", "first_byte.server",
                       "idle", "idle.client", "idle.server", "write_stall", "half_close", "max_duration", "reset_grace",
                       "drain", "tcp.user_timeout", "tcp.keepalive.idle", "tcp.keepalive.interval"}));
}

TEST(TimeoutCatalog, IsFoundByTheExactText) {
  for (const TimeoutInfo& info : timeout_catalog()) {
    EXPECT_EQ(find_timeout(info.text), &info);
    EXPECT_EQ(to_string(info.name), info.text);
  }
  for (const auto* text : {"", "Idle", "idle.", "idle.clients", "connect_attempt", " idle"}) {
    EXPECT_EQ(find_timeout(text), nullptr) << text;
  }
}

TEST(TimeoutCatalog, HasDefaultsThatCanBeWrittenAndReadBack) {
  for (const TimeoutInfo& info : timeout_catalog()) {
    if (!info.default_value) {
      EXPECT_TRUE(info.may_be_off) << info.text << " is off by default, so it must be allowed to be";
      continue;
    }
    EXPECT_GT(*info.default_value, 0ns) << info.text;
    EXPECT_EQ(parse_duration(canonical_duration(*info.default_value)).value(), *info.default_value) << info.text;
  }
}

TEST(CloseCause, HasTheTextOfTheContract) {
  const std::pair<CloseReason, std::string_view> expected[] = {
      {CloseReason::client_fin, "client.fin"},
      {CloseReason::server_fin, "server.fin"},
      {CloseReason::client_reset, "client.reset"},
      {CloseReason::server_reset, "server.reset"},
      {CloseReason::client_error, "client.error"},
      {CloseReason::server_error, "server.error"},
      {CloseReason::resources, "resources"},
      {CloseReason::resolve_failed, "resolve.failed"},
      {CloseReason::connect_refused, "connect.refused"},
      {CloseReason::connect_unreachable, "connect.unreachable"},
      {CloseReason::connect_failed, "connect.failed"},
      {CloseReason::keepalive, "tcp.keepalive"},
      {CloseReason::shutdown, "shutdown"},
  };
  for (const auto& [reason, text] : expected) EXPECT_EQ(to_string(CloseCause{.reason = reason}), text);
}

TEST(CloseCause, OfATimeoutIsItsName) {
  for (const TimeoutInfo& info : timeout_catalog()) {
    EXPECT_EQ(to_string(CloseCause{.reason = CloseReason::timeout, .timeout = info.name}), info.text);
  }
}

TEST(CloseCause, IsToldAsWhoAndAfterHowLong) {
  EXPECT_EQ(describe({.reason = CloseReason::timeout, .timeout = TimeoutName::idle_client, .after = 30s}),
            "closed by idle.client after 30.0s");
  EXPECT_EQ(describe({.reason = CloseReason::server_reset, .leg = LegName::server, .after = 41'300us}),
            "closed by server.reset after 41.3ms");
  EXPECT_EQ(describe({.reason = CloseReason::shutdown, .after = 0ns}), "closed by shutdown after 0s");
}

}  // namespace
}  // namespace weir::event
