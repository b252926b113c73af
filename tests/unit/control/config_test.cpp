#include "control/config.h"

#include <gmock/gmock.h>

namespace weir::control {
namespace {

auto error(std::string_view text) -> std::string {
  const auto parsed = parse_config(text, "f");
  return parsed ? "none" : parsed.error().message;
}

TEST(Config, HasProxiesWithFaultsAndTimeouts) {
  const auto config = parse_config(R"(
seed = 42
[timeouts]
idle = "5m"
[[proxies]]
name = "db"
listen = ":5433"
upstream = "db:5432"
timeouts = { connect = "1s" }
[[proxies.faults]]
type = "latency"
latency = "100ms"
)",
                                   "f");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->seed, 42u);
  ASSERT_EQ(config->proxies.size(), 1u);
  const ProxyDefinition& proxy = config->proxies[0];
  EXPECT_EQ(proxy.rules.timeouts[event::TimeoutName::idle], std::chrono::minutes{5});
  EXPECT_EQ(proxy.rules.timeouts[event::TimeoutName::connect], std::chrono::seconds{1});
  ASSERT_NE(proxy.faults.find("latency_downstream"), nullptr);
  EXPECT_EQ(proxy.faults.find("latency_downstream")->time("latency"), std::chrono::milliseconds{100});
}

TEST(Config, ErrorsNameFileLineAndKey) {
  EXPECT_EQ(error("seed = 1\nworkrs = 2\n"), "f:2: workrs: there is no key \"workrs\" here; did you mean \"workers\"?");
  EXPECT_EQ(error("seed = -1"), "f:1: seed: write a whole number from 0 to 9007199254740991, not -1");
  EXPECT_EQ(error("seed = 1\npoll = \"often\""),
            "f:2: poll: write auto, off or a duration from 1us to 10ms, not \"often\"");
  EXPECT_EQ(error("\n[[proxies]]\nname = \"x\"\n"),
            "f:2: proxies[0].upstream: it is missing: write host:port or unix:/path, as a text");
  EXPECT_TRUE(error("[[proxies]]\nname=\"a\"\nupstream=\"x:1\"\n[[proxies]]\nname=\"a\"\nupstream=\"x:1\"")
                  .starts_with("f:5: proxies[1].name: there is a proxy \"a\" already"));
  EXPECT_THAT(error("[[proxies]]\nname=\"a\"\nupstream=\"x:1\"\n[[proxies.faults]]\ntype=\"loss\""),
              testing::HasSubstr("loss: without rate it is no such fault: write it, such as loss rate=0.02"));
  EXPECT_TRUE(error("[[proxies]]\nname=\"a\"\nupstream=\"x:1\"\n[[proxies.faults]]\ntype=\"latency\"\nlatency=\"soon\"")
                  .starts_with("f:"));
  EXPECT_TRUE(error("a = = 1").starts_with("f:1: "));
  EXPECT_TRUE(error("[[+x]]").starts_with("f:1: ")) << "toml++ asserts that this cannot be";
  EXPECT_TRUE(error("\nseed = 4\u00fc").starts_with("f:2: ")) << "toml++ takes it for impossible";
}

auto proxy_on(const std::string& name, const std::string& listen, const std::string& more = "") -> std::string {
  return "[[proxies]]\nname = \"" + name + "\"\nlisten = \"" + listen + "\"\nupstream = \"x:1\"\n" + more;
}

TEST(Config, TwoThatListenInOnePlaceAreRefused) {
  EXPECT_EQ(error(proxy_on("a", "127.0.0.1:7001") + proxy_on("b", "127.0.0.1:7001")),
            "f:7: proxies[1].listen: 127.0.0.1:7001 is where the proxy \"a\" listens: write another address or port; "
            "port 0 picks a free one");
  for (const auto& [one, other] : {std::pair{":7001", "127.0.0.1:7001"}, std::pair{"[::1]:7001", ":7001"},
                                   std::pair{"unix:/run/a", "unix:/run/a"}, std::pair{"localhost:7001", "7001"}}) {
    EXPECT_TRUE(error(proxy_on("a", one) + proxy_on("b", other)).starts_with("f:7: proxies[1].listen: ")) << one;
  }
  for (const auto& [one, other] :
       {std::pair{"127.0.0.1:7001", "127.0.0.1:7002"}, std::pair{"127.0.0.1:0", "127.0.0.1:0"},
        std::pair{"127.0.0.1:7001", "127.0.0.2:7001"}, std::pair{"0.0.0.0:7001", "[::]:7001"},
        std::pair{"unix:/run/a", "unix:@/run/a"}}) {
    EXPECT_EQ(error(proxy_on("a", one) + proxy_on("b", other)), "none") << one;
  }
  EXPECT_EQ(error(proxy_on("a", "7001", "enabled = false\n") + proxy_on("b", "7001")), "none")
      << "one that is off keeps no port";
}

TEST(Config, AnObserverNamesProxiesOfItsFile) {
  const std::string observer = "[[observers]]\noutput = \"stdout\"\nshow = \"json\"\nproxies = [\"cache\", \"dbb\"]\n";
  EXPECT_EQ(error(observer + proxy_on("db", "7001") + proxy_on("cache", "7002")),
            "f:4: observers[0].proxies[1]: there is no proxy \"dbb\" in this file; did you mean \"db\"?; leave proxies "
            "out to observe all, those that the API makes included");
}

TEST(Config, WhatItWritesToAndListensOnIsLookedFor) {
  const auto problem = [](const std::string& text) {
    const auto config = parse_config(text, "f");
    const auto checked = config ? check_machine(*config) : tl::make_unexpected(config.error());
    return checked ? std::string() : checked.error().message;
  };
  const std::string missing = "its directory does not exist; create it first";
  EXPECT_EQ(problem("[[observers]]\nshow = \"json\"\noutput = \"/nonexistent/x\""),
            "observers[0].output: /nonexistent/x: " + missing);
  EXPECT_EQ(problem("[[observers]]\nshow = \"json\"\noutput = \"/\""), "observers[0].output: /: it is a directory");
  EXPECT_EQ(problem("[log]\ntargets = [\"stderr\", \"file:/nonexistent/x\"]"),
            "log.targets: /nonexistent/x: " + missing);
  EXPECT_EQ(problem(proxy_on("a", "unix:/nonexistent/x")), "proxies[0].listen: unix:/nonexistent/x: " + missing);
  EXPECT_EQ(problem("[api]\nlisten = \"7001\"\n" + proxy_on("a", ":7001")),
            "proxies[0].listen: :7001 is where the API listens, unless weir serve --api says otherwise");
  EXPECT_EQ(problem(proxy_on("a", "unix:/tmp/x") + "[[observers]]\nshow = \"json\"\noutput = \"/dev/null\""), "");
}

TEST(Config, ADrainTimeIsOfTheProcessAlone) {
  EXPECT_EQ(parse_config("[timeouts]\ndrain = \"5s\"", "f")->timeouts[event::TimeoutName::drain],
            std::chrono::seconds{5});
  EXPECT_TRUE(error("[[proxies]]\nname=\"a\"\nupstream=\"x:1\"\ntimeouts = { drain = \"5s\" }")
                  .starts_with("f:4: proxies[0].timeouts.drain: drain is of the whole process"));
}

TEST(Config, TheEffectiveOneSaysTheSame) {
  for (const std::string_view text :
       {"[timeouts]\ndrain = "
        "\"5s\"\n[[proxies]]\nname=\"a\"\nupstream=\"x:1\"\nmax_sessions=7\nfaults=[{type=\"stall\",direction=\"both\"}"
        "]",
        "[api]\nlisten = \"unix:a'''b\\nc\"", "[api]\nlisten = \"unix:a\\nb\"",
        "[api]\nlisten = \"unix:\\u0001\\u007f\"", "[api]\nlisten = \"unix:a\\tb'\\\"\\\\\""}) {
    const auto config = parse_config(text, "f");
    ASSERT_TRUE(config) << config.error().message;
    const std::string effective = effective_config(*config);
    const auto again = parse_config(effective, "g");
    ASSERT_TRUE(again) << again.error().message << effective;
    EXPECT_EQ(effective_config(*again), effective);
    EXPECT_EQ(again->api.has_value(), true);
    if (config->api) {
      EXPECT_EQ(again->api->text, config->api->text);
    }
  }
}

}  // namespace
}  // namespace weir::control
