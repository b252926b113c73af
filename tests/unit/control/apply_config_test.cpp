// A file that is read again: what changed in it is put in force, and nothing else is touched.
#include <gtest/gtest.h>

#include "control/config.h"
#include "control/registry.h"

namespace weir::control {
namespace {

class SilentLog final : public Log {
 public:
  void write(LogLevel, std::string_view text, std::span<const LogField>) override { said += std::string(text) + "\n"; }
  [[nodiscard]] auto wants(LogLevel) const -> bool override { return true; }
  std::string said;
};

class ApplyConfig : public testing::Test {
 protected:
  ApplyConfig() { engine_->start(); }
  void apply(std::string_view text) {
    auto next = *parse_config(text, "f");
    ASSERT_TRUE(apply_config(now_, next, registry_, log_));
    now_ = std::move(next);
  }
  [[nodiscard]] auto rules() const -> const proxy::ProxyRules& { return registry_.find("db")->rules; }

  std::unique_ptr<engine::Engine> engine_ = *engine::Engine::create({});
  Registry registry_{*engine_, [this](const Change& change) { told_.push_back(change.what); }};
  std::vector<std::string> told_;
  SilentLog log_;
  Config now_;
};

constexpr std::string_view first = R"([[proxies]]
name = "db"
upstream = "127.0.0.1:1"
)";

TEST_F(ApplyConfig, AChangedTimeoutLeavesTheListenerAlone) {
  apply(first);
  const auto port = rules().listen.addresses[0].port();
  apply(std::string(first) + "timeouts = { idle = \"2s\" }");
  EXPECT_EQ(rules().timeouts[event::TimeoutName::idle], std::chrono::seconds{2});
  EXPECT_EQ(rules().listen.addresses[0].port(), port) << "the port that the kernel picked";
}

TEST_F(ApplyConfig, WhatTheApiChangedStaysUnlessTheFileChangesIt) {
  apply(first);
  auto by_api = rules();
  by_api.max_sessions = 7;
  by_api.on_connect_failure = proxy::OnConnectFailure::close;
  ASSERT_TRUE(registry_.change("db", by_api));
  apply(std::string(first) + "on_connect_failure = \"reset\"\ntimeouts = { idle = \"2s\" }");
  EXPECT_EQ(rules().max_sessions, 7u);
  EXPECT_EQ(rules().on_connect_failure, proxy::OnConnectFailure::close) << "the file says what it said before";
  apply(std::string(first) + "max_sessions = 9");
  EXPECT_EQ(rules().max_sessions, 9u);
}

TEST_F(ApplyConfig, AFileThatSaysTheSameInOtherWordsChangesNothing) {
  apply(std::string(first) + "timeouts = { idle = \"60s\" }\nlisten = \"0\"");
  told_.clear();
  apply(
      "[[proxies]]\nlisten = \"127.0.0.1:0\"\nname = \"db\"\nupstream = \"127.0.0.1:1\"\ntimeouts = { idle = \"1m\" }");
  EXPECT_TRUE(told_.empty());
}

TEST_F(ApplyConfig, TheProcessDrainTimeIsNoChangeOfAProxy) {
  apply(first);
  told_.clear();
  apply("[timeouts]\ndrain = \"1s\"\n" + std::string(first));
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace weir::control
