// A file that is read again: what changed in it is put in force, and nothing else is touched.
#include <gtest/gtest.h>

#include <algorithm>

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
    ConfigChange change(now_, *parse_config(text, "f"), registry_, log_);
    while (change.step()) {
    }
    ASSERT_FALSE(change.refused()) << change.refused()->message;
    now_ = change.take();
  }
  [[nodiscard]] auto rules() const -> const proxy::ProxyRules& { return registry_.find("db")->rules; }

  std::unique_ptr<engine::Engine> engine_ = *engine::Engine::create({});
  Registry registry_{*engine_, [this](const Change& change) { told_.push_back(change.what); }};
  std::vector<std::string> told_;
  SilentLog log_;
  Config now_;
};

constexpr std::string_view first_text = R"([[proxies]]
name = "db"
upstream = "127.0.0.1:1"
)";

TEST_F(ApplyConfig, AChangedTimeoutLeavesTheListenerAlone) {
  apply(first_text);
  const auto port = rules().listen.addresses[0].port();
  apply(std::string(first_text) + "timeouts = { idle = \"2s\" }");
  EXPECT_EQ(rules().timeouts[event::TimeoutName::idle], std::chrono::seconds{2});
  EXPECT_EQ(rules().listen.addresses[0].port(), port) << "the port that the kernel picked";
}

TEST_F(ApplyConfig, WhatTheApiChangedStaysUnlessTheFileChangesIt) {
  apply(first_text);
  auto by_api = rules();
  by_api.max_sessions = 7;
  by_api.on_connect_failure = proxy::OnConnectFailure::close;
  ASSERT_TRUE(registry_.change("db", by_api));
  apply(std::string(first_text) + "on_connect_failure = \"reset\"\ntimeouts = { idle = \"2s\" }");
  EXPECT_EQ(rules().max_sessions, 7u);
  EXPECT_EQ(rules().on_connect_failure, proxy::OnConnectFailure::close) << "the file says what it said before";
  apply(std::string(first_text) + "max_sessions = 9");
  EXPECT_EQ(rules().max_sessions, 9u);
}

TEST_F(ApplyConfig, AFileThatSaysTheSameInOtherWordsChangesNothing) {
  apply(std::string(first_text) + "timeouts = { idle = \"60s\" }\nlisten = \"0\"");
  told_.clear();
  apply(
      "[[proxies]]\nlisten = \"127.0.0.1:0\"\nname = \"db\"\nupstream = \"127.0.0.1:1\"\ntimeouts = { idle = \"1m\" }");
  EXPECT_TRUE(told_.empty());
}

TEST_F(ApplyConfig, TheProcessDrainTimeIsNoChangeOfAProxy) {
  apply(first_text);
  told_.clear();
  apply("[timeouts]\ndrain = \"1s\"\n" + std::string(first_text));
  EXPECT_TRUE(told_.empty());
}

TEST_F(ApplyConfig, ANameThatTheApiTookLeavesEverythingAsItIs) {
  apply(first_text);
  proxy::ProxyRules rules;
  rules.upstream = *UpstreamAddress::parse("127.0.0.1:1");
  ASSERT_TRUE(registry_.create("taken", rules));
  told_.clear();
  ConfigChange change(now_,
                      *parse_config("[[proxies]]\nname = \"new\"\nupstream = \"127.0.0.1:1\"\n"
                                    "[[proxies]]\nname = \"taken\"\nupstream = \"127.0.0.1:1\"",
                                    "f"),
                      registry_, log_);
  while (change.step()) {
  }
  ASSERT_TRUE(change.refused());
  EXPECT_NE(change.refused()->message.find("proxy taken: the API made a proxy of this name"), std::string::npos);
  EXPECT_TRUE(told_.empty());
}

TEST_F(ApplyConfig, ANameThatTheApiTakesMeanwhileIsToldAndTriedAgain) {
  const std::string both = std::string(first_text) + "[[proxies]]\nname = \"late\"\nupstream = \"127.0.0.1:1\"";
  ConfigChange change(now_, *parse_config(both, "f"), registry_, log_);
  while (registry_.find("db") == nullptr) ASSERT_TRUE(change.step());
  proxy::ProxyRules rules;
  rules.upstream = *UpstreamAddress::parse("127.0.0.1:2");
  ASSERT_TRUE(registry_.create("late", rules));
  while (change.step()) {
  }
  EXPECT_FALSE(change.refused());
  EXPECT_NE(log_.said.find("proxy late: the API made a proxy of this name meanwhile"), std::string::npos) << log_.said;
  now_ = change.take();
  EXPECT_EQ(now_.proxies.size(), 1u) << "what was not applied is not what is in force";
  registry_.remove("late");
  apply(both);
  ASSERT_NE(registry_.find("late"), nullptr);
  EXPECT_EQ(registry_.find("late")->mark.owner, Owner::config);
}

// Two ports that are free, and proxies that listen there.
class MovingProxies : public ApplyConfig {
 protected:
  MovingProxies() {
    // Ports that are free at every address: one of 127.0.0.1 may be another connection's elsewhere.
    apply(one("a", "0.0.0.0:0") + one("b", "0.0.0.0:0"));
    a_ = "127.0.0.1" + where("a").substr(where("a").rfind(':'));
    b_ = "127.0.0.1" + where("b").substr(where("b").rfind(':'));
    apply(one("a", a_) + one("b", b_));
    log_.said.clear();
  }
  static auto one(const std::string& name, const std::string& listen, const std::string& more = "") -> std::string {
    return "[[proxies]]\nname = \"" + name + "\"\nlisten = \"" + listen + "\"\nupstream = \"127.0.0.1:1\"\n" + more;
  }
  [[nodiscard]] auto where(const std::string& name) const -> std::string {
    const ProxyEntry* entry = registry_.find(name);
    return entry != nullptr && entry->listening ? entry->listen : "nowhere";
  }
  std::string a_, b_;
};

TEST_F(MovingProxies, TwoSwapTheirPorts) {
  apply(one("a", b_) + one("b", a_));
  EXPECT_EQ(log_.said, "");
  EXPECT_EQ(where("a"), b_);
  EXPECT_EQ(where("b"), a_);
}

TEST_F(MovingProxies, OneTakesThePlaceOfAnotherThatMovesOn) {
  apply(one("a", b_) + one("b", "127.0.0.1:0"));
  EXPECT_EQ(where("a"), b_);
  EXPECT_NE(where("b"), "nowhere");
  EXPECT_EQ(log_.said, "");
}

TEST_F(MovingProxies, ANewOneTakesThePlaceOfOneThatIsDisabled) {
  apply(one("new", b_) + one("a", a_) + one("b", b_, "enabled = false\n"));
  EXPECT_EQ(where("new"), b_);
  EXPECT_EQ(where("b"), "nowhere");
  EXPECT_EQ(where("a"), a_);
  EXPECT_EQ(log_.said, "");
}

TEST_F(MovingProxies, AWildcardTakesThePlaceOfAnAddress) {
  apply(one("a", "0.0.0.0" + b_.substr(b_.rfind(':'))) + one("b", a_));
  EXPECT_EQ(where("b"), a_);
  EXPECT_EQ(where("a"), "0.0.0.0" + b_.substr(b_.rfind(':')));
  EXPECT_EQ(log_.said, "");
}

TEST_F(MovingProxies, WhoCannotGoStaysUnlessItsPlaceIsTaken) {
  // The address is nobody's here (TEST-NET-1, RFC 5737).
  apply(one("b", "192.0.2.1:1") + one("a", b_));
  EXPECT_EQ(where("b"), b_) << "it came first and went back";
  EXPECT_EQ(where("a"), a_);
  EXPECT_NE(log_.said.find("proxy b: cannot listen on 192.0.2.1:1"), std::string::npos) << log_.said;
  apply(one("a", b_) + one("b", "192.0.2.1:1"));
  EXPECT_EQ(where("a"), b_);
  EXPECT_EQ(where("b"), "nowhere");
}

TEST_F(MovingProxies, WhereNobodyComesNobodyMakesWay) {
  apply(one("b", "192.0.2.1:1") + one("a", a_));
  EXPECT_EQ(where("b"), b_);
  EXPECT_EQ(std::ranges::count(told_, "proxy.changed"), 2) << "what the scene changed";
}

}  // namespace
}  // namespace weir::control
