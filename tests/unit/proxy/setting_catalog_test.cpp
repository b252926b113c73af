#include "proxy/setting_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace weir::proxy {
namespace {

using event::TimeoutName;
using testing::HasSubstr;
using namespace std::chrono_literals;

// A value other than the default, as a user writes it.
auto another(const SettingInfo& setting) -> std::string {
  switch (setting.kind) {
    case SettingKind::listen: return "8888";
    case SettingKind::upstream: return "db.test:5432";
    case SettingKind::flag: return format(setting, ProxyRules{}) == "true" ? "false" : "true";
    case SettingKind::word:
    case SettingKind::name: return std::string(setting.words.back());
    case SettingKind::count: return std::to_string(setting.least + 1);
    case SettingKind::size: return "1MiB";
    case SettingKind::duration: return "1234ms";
  }
  return "";
}

auto refused(std::string_view name, const Written& value) -> std::string {
  ProxyRules rules;
  const ProxyRules before = rules;
  const auto done = set(*find_setting(name), rules, value);
  EXPECT_EQ(rules, before) << name;
  return done ? "taken" : done.error().message;
}

TEST(SettingCatalog, HasARowForEveryFieldOfTheRules) {
  // A new field does not compile here before it is named; then the catalog must have it.
  [[maybe_unused]] const auto& [listen, upstream, enabled, handshake, on_connect_failure, max_sessions,
                                fault_queue_limit, keepalive_count, congestion, diagnose, timeouts] = ProxyRules{};
  constexpr std::size_t fields = 10;
  EXPECT_EQ(setting_catalog().size(), fields + event::timeout_count - 1) << "all timeouts but drain";
}

TEST(SettingCatalog, EachRowChangesItsOwnPlaceAndNoOther) {
  const ProxyRules defaults;
  for (const auto& setting : setting_catalog()) {
    ProxyRules changed;
    ASSERT_TRUE(set(setting, changed, written(setting, another(setting)))) << setting.name;
    for (const auto& other : setting_catalog()) {
      EXPECT_EQ(same(other, changed, defaults), &other != &setting) << setting.name << " and " << other.name;
    }
    EXPECT_NE(changed, defaults) << setting.name;
    copy(setting, defaults, changed);
    EXPECT_EQ(changed, defaults) << setting.name;
  }
}

TEST(SettingCatalog, WhatItShowsItTakes) {
  for (const auto& setting : setting_catalog()) {
    ProxyRules rules;
    ASSERT_TRUE(set(setting, rules, written(setting, another(setting))));
    for (const ProxyRules& from : {rules, ProxyRules{}}) {
      if (setting.required && from == ProxyRules{}) continue;
      ProxyRules again;
      EXPECT_TRUE(set(setting, again, get(setting, from))) << setting.name;
      EXPECT_TRUE(same(setting, again, from)) << setting.name;
      again = {};
      EXPECT_TRUE(set(setting, again, written(setting, format(setting, from)))) << setting.name;
      EXPECT_TRUE(same(setting, again, from)) << setting.name;
    }
  }
}

TEST(SettingCatalog, NamesAreUniqueAndGroupsStandTogether) {
  std::set<std::string_view> names;
  for (const auto& setting : setting_catalog()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_FALSE(setting.doc.empty()) << setting.name;
    EXPECT_FALSE(describe_values(setting).empty()) << setting.name;
  }
  EXPECT_EQ(find_setting("timeouts.idle.client")->group(), "timeouts");
  EXPECT_EQ(find_setting("timeouts.idle.client")->name_in_group(), "idle.client");
  EXPECT_EQ(find_setting("timeouts.drain"), nullptr) << "it is of the process";
  EXPECT_EQ(find_setting("idle"), nullptr);
}

TEST(SettingCatalog, RefusesWithWhatToWrite) {
  const std::string text = "x";
  EXPECT_EQ(refused("max_sessions", std::int64_t{0}), "write a whole number from 1 to 1000000000, or off, not 0");
  EXPECT_EQ(refused("max_sessions", text), "write a whole number from 1 to 1000000000, or off, not \"x\"");
  EXPECT_EQ(refused("max_sessions", 1e300), "write a whole number from 1 to 1000000000, or off, not 1e+300");
  EXPECT_EQ(refused("max_sessions", std::int64_t{-1}), "write a whole number from 1 to 1000000000, or off, not -1");
  EXPECT_EQ(refused("enabled", std::int64_t{1}), "write true or false, not 1");
  EXPECT_EQ(refused("on_connect_failure", text), "write reset or close, not \"x\"");
  EXPECT_EQ(refused("on_connect_failure", {}), "write reset or close, not null");
  for (const Written& wrong : {Written{}, Written{std::string()}, Written{std::string("Cubic")},
                               Written{std::string("a_name_too_long_")}, Written{true}}) {
    EXPECT_THAT(refused("congestion", wrong),
                testing::StartsWith("write auto or system, or a name that the kernel knows, such as cubic, not "));
  }
  EXPECT_EQ(refused("fault_queue_limit", std::string("1KiB")),
            "write a number of bytes from 64KiB to 1024GiB, such as 32MiB, not \"1KiB\"");
  EXPECT_EQ(refused("fault_queue_limit", std::int64_t{-5}),
            "write a number of bytes from 64KiB to 1024GiB, such as 32MiB, not -5");
  EXPECT_THAT(refused("listen", true), HasSubstr("not true"));
  EXPECT_THAT(refused("upstream", std::string("nowhere")), HasSubstr("nowhere"));
  EXPECT_THAT(refused("timeouts.idle", std::int64_t{5}), HasSubstr("a duration with its unit"));
  EXPECT_EQ(refused("timeouts.idle", std::string("0")), "0 would end everything at once; use \"off\" for no limit");
  EXPECT_EQ(refused("timeouts.tcp.keepalive.interval", std::string("off")), "it cannot be off");
  EXPECT_THAT(refused("timeouts.tcp.keepalive.interval", {}), HasSubstr("not null"));
  EXPECT_LT(refused("on_connect_failure", std::string(100'000, 'x')).size(), 200u);
}

TEST(SettingCatalog, OffAndNullAreNoLimit) {
  for (const Written& off : {Written{}, Written{std::string("off")}}) {
    ProxyRules rules;
    rules.max_sessions = 3;
    ASSERT_TRUE(set(*find_setting("max_sessions"), rules, off));
    EXPECT_EQ(rules.max_sessions, std::nullopt);
    ASSERT_TRUE(set(*find_setting("timeouts.idle"), rules, off));
    EXPECT_EQ(rules.timeouts[TimeoutName::idle], std::nullopt);
  }
}

TEST(SettingCatalog, AKeepaliveCountThatCannotActIsAProblem) {
  ProxyRules rules;
  EXPECT_FALSE(check(rules));
  rules.keepalive_count = 3;
  EXPECT_EQ(check(rules)->setting, "keepalive_count");
  rules.timeouts.set(TimeoutName::tcp_user_timeout, std::nullopt);
  EXPECT_FALSE(check(rules));
  rules.timeouts.set(TimeoutName::tcp_keepalive_idle, std::nullopt);
  EXPECT_TRUE(check(rules));
}

TEST(SettingCatalog, WhatTheKernelDoesNotTakeIsAProblem) {
  for (const auto& [name, most] : {std::pair{TimeoutName::tcp_keepalive_idle, Nanos{32'767s}},
                                   std::pair{TimeoutName::tcp_keepalive_interval, Nanos{32'767s}},
                                   std::pair{TimeoutName::tcp_user_timeout, Nanos{2'147'483'647ms}}}) {
    ProxyRules rules;
    rules.timeouts.set(name, most);
    EXPECT_FALSE(check(rules));
    rules.timeouts.set(name, most + 1s);
    ASSERT_TRUE(check(rules));
    EXPECT_EQ(check(rules)->setting, "timeouts." + std::string(to_string(name)));
    EXPECT_THAT(check(rules)->message, HasSubstr("the kernel takes at most"));
  }
}

TEST(SettingCatalog, AnOpenSessionTakesWhatItsRowSays) {
  ProxyRules theirs;
  ProxyRules now;
  for (const auto& setting : setting_catalog()) {
    ASSERT_TRUE(set(setting, now, written(setting, another(setting))));
  }
  const ProxyRules merged = rules_of_open_session(theirs, now);
  for (const auto& setting : setting_catalog()) {
    const bool takes = setting.takes_effect == TakesEffect::open_sessions;
    EXPECT_EQ(same(setting, merged, now), takes) << setting.name;
    EXPECT_EQ(same(setting, merged, theirs), !takes) << setting.name;
  }
  EXPECT_EQ(merged.timeouts[TimeoutName::idle], 1234ms);
  EXPECT_EQ(merged.upstream, theirs.upstream);
}

}  // namespace
}  // namespace weir::proxy
