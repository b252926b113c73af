// Any faults, any chunks, any changes on the way: no byte is lost, none overtakes another, what is held
// is accounted for, and everything comes to its end.
#include <random>

#include "fault/path.h"

namespace weir::fault {
namespace {

using namespace test;

// None of these loses a byte or ends the session.
const std::vector<std::string> harmless{
    "latency latency=30ms jitter=30ms",
    "latency latency=5ms jitter=5ms distribution=pareto correlation=0.5 name=long",
    "bandwidth rate=200KB/s",
    "slicer average_size=100 size_variation=100 delay=10us",
    "slow_close delay=20ms",
    "noop",
    "stall direction=downstream after=2KB for=40ms",
    "loss rate=0.2 burst=2 rto=5ms",
    "first_byte_delay delay=15ms",
    "latency latency=100ms after=10ms for=50ms name=window",
    "limit_data bytes=1GB",
    "latency latency=20ms jitter=20ms on=line every=3 name=lines",
    "slicer average_size=50 delay=10us on=line nth=2 every=2 name=slices",
    "stall direction=downstream on=line nth=7 for=60ms name=freeze",
    "bandwidth rate=100KB/s on=line nth=5 every=9 name=narrow",
    "reset_peer timeout=1h after=1h",
};

auto some_of(const std::vector<std::string>& all, std::mt19937& random) -> std::vector<std::string> {
  std::vector<std::string> chosen;
  for (const auto& each : all) {
    if (random() % 3 == 0) chosen.push_back(each);
  }
  std::shuffle(chosen.begin(), chosen.end(), random);
  return chosen;
}

class AnyFaults : public testing::TestWithParam<unsigned> {};

TEST_P(AnyFaults, LoseAndReorderNothing) {
  std::mt19937 random(GetParam());
  Path path(some_of(harmless, random), {.seed = GetParam()});
  std::string sent;
  for (int step = 0; step < 60; ++step) {
    std::string chunk(1 + random() % 3000, ' ');
    for (char& c : chunk) c = static_cast<char>(random());
    sent += chunk;
    path.comes(chunk);
    path.passes(microseconds{random() % 5000});
    if (random() % 4 == 0) path.has(some_of(harmless, random));
    ASSERT_EQ(path.held(), sent.size() - path.out().size()) << "what is held is what has not come out";
    ASSERT_TRUE(sent.starts_with(path.out()));
  }
  path.ends();
  if (random() % 2 == 0) path.has(some_of(harmless, random));
  if (random() % 4 == 0) path.has(std::vector<std::string>{});
  path.passes(std::chrono::hours{1});
  EXPECT_TRUE(path.out() == sent) << path.out().size() << " of " << sent.size();
  EXPECT_EQ(path.ended(), End::fin);
}

TEST_P(AnyFaults, DrawTheSameWhateverTheChunks) {
  const std::vector<std::string> faults{"corrupt rate=0.003", "limit_data bytes=7001",
                                        "corrupt mode=replace at=4000 with=00112233 name=there"};
  std::mt19937 random(GetParam());
  std::string stream(9000, ' ');
  for (char& c : stream) c = static_cast<char>(random());
  Path whole(faults, {.seed = GetParam()});
  whole.comes(stream);
  Path pieces(faults, {.seed = GetParam()});
  for (std::size_t at = 0; at < stream.size() && !pieces.ended();) {
    const std::size_t size = 1 + random() % 700;
    pieces.comes(std::string_view(stream).substr(at, size));
    at += size;
  }
  EXPECT_TRUE(pieces.out() == whole.out());
  EXPECT_EQ(whole.out().size(), 7001u);
  EXPECT_NE(whole.out(), stream.substr(0, 7001));
}

TEST_P(AnyFaults, ComeToAnEndWhateverEndsThem) {
  std::vector<std::string> all = harmless;
  for (const auto* each :
       {"timeout timeout=30ms", "limit_data bytes=20000 name=cut", "reset_peer timeout=50ms name=soon",
        "half_close delay=80ms", "corrupt mode=truncate rate=0.0001", "packet_loss loss_rate=0.2"}) {
    all.push_back(each);
  }
  std::mt19937 random(GetParam());
  Path path(some_of(all, random), {.seed = GetParam()});
  for (int step = 0; step < 60 && !path.ended(); ++step) {
    path.comes(std::string(1 + random() % 3000, 'x'));
    path.passes(microseconds{random() % 5000});
    if (random() % 4 == 0 && !path.ended()) path.has(some_of(all, random));
  }
  if (!path.ended()) path.ends();
  path.passes(std::chrono::hours{3});
  EXPECT_TRUE(path.ended());
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyFaults, testing::Range(1u, 120u));

}  // namespace
}  // namespace weir::fault
