// Faults for some messages alone: which are selected, what each stage gets of them, and what goes past it.
#include <map>
#include <random>

#include "fault/path.h"

namespace weir::fault {
namespace {

using namespace test;

auto selected(const Selector& selector) -> std::vector<std::uint64_t> {
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t number = 1; number <= 12; ++number) {
    if (selector.selects(number)) numbers.push_back(number);
  }
  return numbers;
}

TEST(Selector, SelectsTheNthAndThenOneInSoMany) {
  EXPECT_EQ(selected({}).size(), 12u);
  EXPECT_THAT(selected({.nth = 3}), ElementsAre(3));
  EXPECT_THAT(selected({.every = 5}), ElementsAre(5, 10));
  EXPECT_THAT(selected({.nth = 2, .every = 5}), ElementsAre(2, 7, 12));
  EXPECT_EQ(selected({.every = 1}).size(), 12u);
}

// --- latency ---

TEST(MessageLatency, StaysWithAMessageThatHasBegunWhateverIsSelectedThen) {
  Path path({"latency latency=1s on=line"});
  path.comes("ab");
  path.passes(seconds{1});
  path.has({"latency latency=1s on=line nth=2"});
  path.comes("cd\n");
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("1000ms ab", "2000ms cd\n"));
}

TEST(MessageLatency, DelaysTheSelectedAndWhatComesBehindThem) {
  Path path({"latency latency=100ms on=line every=3"});
  path.comes("1\n2\n3\n4\n");
  path.passes(milliseconds{30});
  path.comes("5\n");
  EXPECT_THAT(path.told(), ElementsAre("0ms 1\n2\n"));
  path.passes(milliseconds{70});
  EXPECT_THAT(path.told(), ElementsAre("100ms 3\n4\n", "100ms 5\n"));
  path.comes("6\n");
  path.passes(milliseconds{100});
  EXPECT_THAT(path.told(), ElementsAre("200ms 6\n"));
  path.comes("7\n");
  EXPECT_THAT(path.told(), ElementsAre("200ms 7\n")) << "nothing is held, so it passes at once";
}

TEST(MessageLatency, DelaysAMessageFromItsFirstByteOn) {
  Path path({"latency latency=100ms on=line nth=2"});
  path.comes("1\nsl");
  path.passes(milliseconds{50});
  path.comes("ow\nnext\n");
  path.passes(milliseconds{200});
  EXPECT_THAT(path.told(), ElementsAre("0ms 1\n", "100ms sl", "150ms ow\nnext\n"));
}

TEST(MessageLatency, DrawsOnceForAMessage) {
  Path path({"latency latency=100ms jitter=90ms on=line"});
  path.comes("a");
  path.comes("b");
  path.comes("\n");
  path.passes(seconds{1});
  const auto told = path.told();
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].substr(0, told[0].find(' ')), told[2].substr(0, told[2].find(' ')));
}

TEST(MessageLatency, MakesNoMoreSendsThanItMust) {
  Path path({"latency latency=10ms on=line every=2"});
  path.comes("1\n2\n3\n4\n5\n6\n7\n");
  path.passes(milliseconds{10});
  EXPECT_THAT(path.told(), ElementsAre("0ms 1\n", "10ms 2\n3\n4\n5\n6\n7\n"));
}

TEST(MessageLatency, PassesTheEndBehindWhatItHolds) {
  Path path({"latency latency=10ms on=line nth=1"});
  path.comes("1\n2\n");
  path.ends();
  path.passes(milliseconds{10});
  EXPECT_THAT(path.told(), ElementsAre("10ms 1\n2\n", "10ms FIN"));
}

// --- limit_data ---

TEST(MessageLimit, CountsSelectedBytesAlone) {
  Path path({"limit_data bytes=4 on=line every=2"});
  path.comes("a long first line\nbb\nc\ndd\nee\n");
  EXPECT_EQ(path.out(), "a long first line\nbb\nc\nd");
  EXPECT_EQ(path.ended(), End::session_fin);
}

TEST(MessageLimit, OfNothingEndsAtTheFirstSelectedByte) {
  Path path({"limit_data bytes=0 on=line nth=2"});
  path.comes("a\n");
  EXPECT_FALSE(path.ended());
  path.comes("bc\n");
  EXPECT_EQ(path.out(), "a\n");
  EXPECT_EQ(path.ended(), End::session_fin);
}

// --- corrupt ---

TEST(MessageCorrupt, ChangesSelectedBytesAlone) {
  Path path({"corrupt rate=1 on=line nth=2"});
  const std::string stream = "first\nsecond\nthird\n";
  path.comes(stream.substr(0, 9));
  path.comes(stream.substr(9));
  ASSERT_EQ(path.out().size(), stream.size());
  for (std::size_t at = 0; at < stream.size(); ++at) {
    EXPECT_EQ(path.out()[at] != stream[at], at >= 6 && at < 13) << at;
  }
}

TEST(MessageCorrupt, FindsAPatternInSelectedMessagesAndNotAcrossThem) {
  Path path({"corrupt mode=replace pattern=6162 with=585959 on=line every=2"});  // ab -> XYY behind it
  path.comes("ab..\nab..\nab..\na\n");
  path.comes("b..\nb..\nab\n");
  path.comes("ab...\nyes ab");
  path.comes("1\n2345\n");
  EXPECT_EQ(path.out(), "ab..\nabXYYab..\na\nb..\nb..\nab\nabXYY\nyes ab1\n2345\n");
}

TEST(MessageCorrupt, WritesNothingOverTheNextMessage) {
  Path path({"corrupt mode=replace pattern=61 with=58585858 on=line"});
  path.comes(".a.\n...\n");
  EXPECT_EQ(path.out(), ".aXX...\n");
}

// --- every other fault, unchanged ---

TEST(Messages, ALostMessageIsLostWhole) {
  Path path({"packet_loss loss_rate=1 on=line every=2"});
  path.comes("1\n2");
  path.comes("2\n3\n44");
  path.comes("4\n5\n");
  EXPECT_EQ(path.out(), "1\n3\n5\n");
}

TEST(Messages, AStallLetsPassWhatComesBeforeTheSelectedOne) {
  Path path({"stall direction=downstream on=line nth=2"});
  EXPECT_TRUE(path.takes_more());
  path.comes("1\n");
  EXPECT_TRUE(path.takes_more());
  path.comes("2\n3\n");
  EXPECT_FALSE(path.takes_more());
  EXPECT_EQ(path.out(), "1\n");
  path.has(std::vector<std::string>{});
  EXPECT_EQ(path.out(), "1\n2\n3\n");
}

TEST(Messages, ASlicerCutsTheSelectedAlone) {
  Path path({"slicer average_size=2 on=line nth=2"});
  path.comes("1234\n123456\n1234\n");
  EXPECT_EQ(path.out(), "1234\n123456\n1234\n");
  EXPECT_THAT(path.cuts(), ElementsAre(7, 9, 11, 17)) << "the slicer's cuts, and none where messages end";
}

TEST(Messages, OthersGoAtTheirOwnPaceWhereNothingIsHeld) {
  Path path({"bandwidth rate=10B/s on=line nth=1"});
  path.comes("0123456789\nfast\n");
  path.passes(seconds{2});
  path.comes("fast too\n");
  EXPECT_EQ(path.out(), "0123456789\nfast\nfast too\n");
  EXPECT_EQ(path.told().back(), "2000ms fast too\n");
}

// --- when messages are counted from ---

TEST(Messages, AreCountedFromWhenTheFaultBegins) {
  Path path({"limit_data bytes=0 on=line nth=1 after=2B"});
  path.comes("abc\n");
  EXPECT_FALSE(path.ended()) << "this one began before";
  path.comes("de\n");
  EXPECT_EQ(path.out(), "abc\n");
  EXPECT_TRUE(path.ended());
}

TEST(Messages, AreCountedFromWhenAFaultIsAddedToAnOpenSession) {
  Path path({"latency latency=1ms on=line name=a"});
  path.comes("1\n2\nbegun");
  path.has({"latency latency=1ms on=line name=a", "limit_data bytes=0 on=line nth=2 name=b"});
  EXPECT_FALSE(path.ended());
  path.passes(milliseconds{1});
  EXPECT_EQ(path.out(), "1\n") << "of the three that a held, and b had not seen, it is the second";
  EXPECT_TRUE(path.ended());
}

TEST(Messages, AreKnownBehindAFaultThatHoldsThem) {
  Path path({"latency latency=1s name=first", "corrupt rate=1 on=line nth=2"});
  path.comes("one\ntwo\nthree\n");
  path.comes("four\n");
  path.passes(seconds{1});
  EXPECT_EQ(path.out().substr(0, 4), "one\n");
  EXPECT_NE(path.out().substr(4, 4), "two\n");
  EXPECT_EQ(path.out().substr(8), "three\nfour\n");
}

TEST(Messages, KeepTheirPlacesBehindAFaultThatDropsBytes) {
  Path path({"packet_loss loss_rate=1 for=1s", "corrupt mode=replace pattern=61 with=58 on=line nth=2"});
  path.comes("one\ntw");
  path.passes(seconds{1});
  path.comes("o abc\nabc\n");
  EXPECT_EQ(path.out(), "o aXc\nabc\n") << "the rest of the second";
}

TEST(Messages, ChangeOfTheSelectorActsOnTheNextMessage) {
  const FaultSpec spec = parse_fault("packet_loss loss_rate=1 on=line every=2").value();
  const auto list = FaultList().with(spec).value();
  Path path({});
  path.has(list);
  path.comes("1\n2");
  path.has(list.changed(change_fault(spec, std::vector<Field>{{"every", std::int64_t{1}}}).value()).value());
  path.comes("2\n3\n");
  EXPECT_EQ(path.out(), "1\n");
  path.has(list.changed(change_fault(spec, std::vector<Field>{{"on", std::string()}}).value()).value());
  path.comes("4");
  EXPECT_EQ(path.out(), "1\n") << "for all bytes now";
}

TEST(Messages, ThatWaitGoOnInOrderWhenTheFaultIsRemoved) {
  Path path({"latency latency=10s on=line every=2"});
  path.comes("1\n2\n3\n");
  path.comes("4\n5\n");
  path.has(std::vector<std::string>{});
  path.comes("6\n");
  EXPECT_EQ(path.out(), "1\n2\n3\n4\n5\n6\n");
  EXPECT_EQ(path.held(), 0u);
}

TEST(Messages, ThatWaitCountAsMoreThanTheirBytes) {
  Path path({"latency latency=1s on=line"}, {.queue_limit = 64 * 1024});
  std::size_t lines = 0;
  for (; path.takes_more(); ++lines) path.comes("\n");
  EXPECT_LE(lines, 64 * 1024 / (1 + Chain::cost_of_message + sizeof(Chunk))) << "each has places in queues, too";
  EXPECT_GE(lines, 256U);
  path.passes(seconds{1});
  EXPECT_TRUE(path.takes_more());
}

// --- framers that tests make ---

// A message is a digit and as many bytes behind it. Another byte in a digit's place: it gives up.
class CountedFramer final : public protocol::Framer {
 public:
  auto on_bytes(Direction, std::uint64_t offset, std::span<const std::byte> bytes, protocol::Messages& found)
      -> bool override {
    for (const std::byte byte : bytes) {
      if (left_ == 0) {
        const auto c = static_cast<char>(byte);
        if (c < '0' || c > '9') return false;
        found.begin(offset);
        left_ = c - '0';
      } else {
        --left_;
      }
      ++offset;
      if (left_ == 0) found.end(offset);
    }
    return true;
  }

 private:
  int left_ = 0;
};
const protocol::FramerInfo counted_framer{
    .name = "counted", .doc = "", .make = []() -> std::unique_ptr<protocol::Framer> {
      return std::make_unique<CountedFramer>();
    }};

auto on(const protocol::FramerInfo& framer, const std::string& fault) -> FaultList {
  FaultSpec spec = parse_fault(fault + " on=line").value();
  spec.selector.on = &framer;
  return FaultList().with(std::move(spec)).value();
}

TEST(Framer, ThatGivesUpLeavesTheStreamAlone) {
  Path path({});
  path.has(on(counted_framer, "packet_loss loss_rate=1"));
  path.comes("2ab0");
  EXPECT_EQ(path.out(), "");
  path.comes("1cXX");
  path.comes("2ab0");
  EXPECT_EQ(path.out(), "XX2ab0") << "what it found before is as it was, and nothing after";
}

// An answer is as long as its question says: "3" makes the answer's next message three bytes long.
class PairingFramer final : public protocol::Framer {
 public:
  auto on_bytes(Direction direction, std::uint64_t offset, std::span<const std::byte> bytes, protocol::Messages& found)
      -> bool override {
    for (const std::byte byte : bytes) {
      if (direction == Direction::upstream) {
        asked_.push_back(static_cast<char>(byte) - '0');
      } else {
        if (left_ == 0) {
          found.begin(offset);
          left_ = asked_.front();
          asked_.erase(asked_.begin());
        }
        if (--left_ == 0) found.end(offset + 1);
      }
      ++offset;
    }
    return true;
  }

 private:
  std::vector<int> asked_;
  int left_ = 0;
};
const protocol::FramerInfo pairing_framer{
    .name = "pairing", .doc = "", .needs_both = true, .make = []() -> std::unique_ptr<protocol::Framer> {
      return std::make_unique<PairingFramer>();
    }};

TEST(Framer, HasOneStateForBothDirections) {
  BlockPool blocks;
  ProxyFaults proxy(7, "web");
  SessionFaults session(proxy);
  const Address client = Address::parse_ip("192.0.2.7", 4000).value();
  const auto change =
      session.choose(on(pairing_framer, "packet_loss loss_rate=1 every=2"), {SessionNumber{1}, client, MonoTime{}});
  const ChainPlace up{.direction = Direction::upstream, .blocks = blocks, .framings = &session.framings()};
  const ChainPlace down{.direction = Direction::downstream, .blocks = blocks, .framings = &session.framings()};
  EXPECT_TRUE(up.is_watched()) << "the framer must see it, though no fault is in it";
  Chain questions(up);
  Chain answers(down);
  answers.set({}, session.in(Direction::downstream), change.changed);
  const auto comes = [&](Chain& chain, std::string_view text) {
    chain.on_chunk({}, blocks.copy(std::as_bytes(std::span(text))));
    std::string out;
    while (chain.has_released()) {
      const Slice bytes = chain.take_released();
      out.append(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.size());
    }
    return out;
  };
  EXPECT_EQ(comes(questions, "231"), "231");
  EXPECT_EQ(comes(answers, "aabbbc"), "aac");
  EXPECT_FALSE(questions.is_spent()) << "it stays in the path";
}

// --- whatever the chunks ---

using Timeline = std::map<Nanos, std::string>;

class AnyChunks : public testing::TestWithParam<unsigned> {
 protected:
  // What goes out when all of the stream comes at once, in chunks of at most this size.
  auto sent(const std::vector<std::string>& faults, const std::string& stream, std::size_t most) -> Timeline {
    std::mt19937 random(GetParam());
    Path path(faults, {.seed = GetParam()});
    for (std::size_t at = 0; at < stream.size() && !path.ended();) {
      const std::size_t size = most >= stream.size() ? stream.size() : 1 + random() % most;
      path.comes(std::string_view(stream).substr(at, size));
      at += size;
    }
    Timeline all;
    for (int moment = 0; moment <= 200; ++moment) {
      all[path.age()] = path.out();
      path.passes(milliseconds{1});
    }
    return all;
  }
  static auto any_stream(unsigned seed) -> std::string {
    std::mt19937 random(seed);
    std::string stream(6000, ' ');
    for (char& c : stream) c = random() % 12 == 0 ? '\n' : static_cast<char>('a' + random() % 26);
    return stream;
  }
};

TEST_P(AnyChunks, TheSameIsDoneToTheSameMessages) {
  const std::string stream = any_stream(GetParam());
  for (const std::vector<std::string>& faults : std::vector<std::vector<std::string>>{
           {"corrupt rate=0.05 on=line every=3"},
           {"corrupt mode=replace at=3000 with=2323232323232323 on=line nth=2 every=2"},
           {"corrupt mode=truncate pattern=6162 on=line every=2"},
           {"limit_data bytes=1000 on=line every=4"},
           {"packet_loss loss_rate=0.3 on=line"},
           {"latency latency=30ms jitter=20ms on=line every=7"},
           {"latency latency=30ms jitter=20ms correlation=0.5 on=line every=40",
            "corrupt rate=0.1 on=line nth=3 every=5", "latency latency=10ms on=line nth=100 name=later",
            "limit_data bytes=1500 on=line every=2"}}) {
    const Timeline whole = sent(faults, stream, stream.size());
    EXPECT_EQ(sent(faults, stream, 100), whole) << faults[0];
    EXPECT_EQ(sent(faults, stream, 3), whole) << faults[0];
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyChunks, testing::Range(1u, 20u));

}  // namespace
}  // namespace weir::fault
