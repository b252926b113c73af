#include <gtest/gtest.h>

#include "demo/embedded_upstream.h"
#include "demo/naive_relay.h"
#include "demo/page.h"

// The proof of the story: the naive relay has no sleep in it. What it costs is the time its peers'
// kernels take to acknowledge, and goes when they acknowledge at once, the relay being the same.
namespace weir::demo {
namespace {

using namespace std::chrono_literals;

struct Acknowledging {
  bool upstream = false;  // at once: TCP_QUICKACK set again after every recv
  bool client = false;
};

// The median of ten queries through a naive relay; the first, on a new connection, is always fast.
auto median_query(Acknowledging at_once) -> Nanos {
  auto upstream = EmbeddedUpstream::start({.acknowledge_at_once = at_once.upstream}).value();
  auto relay = NaiveRelay::start(upstream.port()).value();
  const auto page = run_page(relay.port(), 10, {.name = "naive relay", .acknowledge_at_once = at_once.client}).value();
  return page.percentile(50);
}

TEST(Stall, GoesWhenTheRelaysPeersAcknowledgeAtOnce) {
  const Nanos stalled = median_query({});
  const Nanos prompt = median_query({.upstream = true, .client = true});
  EXPECT_GE(stalled, 70ms) << "two delayed acknowledgements of 40 ms were expected in each query";
  EXPECT_LT(prompt, stalled / 4);
}

TEST(Stall, IsPaidOnEachWayForItself) {
  const Nanos query_stalls = median_query({.client = true});
  const Nanos reply_stalls = median_query({.upstream = true});
  EXPECT_GE(query_stalls, 35ms);
  EXPECT_LT(query_stalls, 70ms);
  EXPECT_GE(reply_stalls, 35ms);
  EXPECT_LT(reply_stalls, 70ms);
}

TEST(Stall, IsNotThereWithoutTheRelay) {
  auto upstream = EmbeddedUpstream::start().value();
  const auto page = run_page(upstream.port(), 10, {.name = "direct"}).value();
  EXPECT_LT(page.percentile(50), 20ms);
}

}  // namespace
}  // namespace weir::demo
