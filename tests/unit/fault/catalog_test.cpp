// Faults from and to what users write.
#include "fault/path.h"

namespace weir::fault {
namespace {

using namespace test;
using testing::EndsWith;
using testing::HasSubstr;

auto refused(std::string_view text) -> std::string {
  const auto spec = parse_fault(text);
  return spec ? fmt::format("\"{}\" was taken", text) : spec.error().message;
}

TEST(Catalog, DescribesEveryFaultOnce) {
  std::vector<std::string_view> types;
  for (const FaultInfo* info : catalog()) {
    EXPECT_EQ(std::ranges::count(types, info->type), 0);
    types.push_back(info->type);
    EXPECT_EQ(find_fault(info->type), info);
    EXPECT_FALSE(info->doc.empty());
    EXPECT_FALSE(info->details.empty()) << info->type;
    EXPECT_EQ(info->make != nullptr, info->phase == FaultPhase::stream) << info->type;
    for (const auto& attribute : info->attributes) EXPECT_FALSE(attribute.doc.empty()) << attribute.name;
  }
  EXPECT_EQ(types.size(), 17u);
  EXPECT_EQ(std::ranges::count_if(catalog(), [](const auto* info) { return info->classic; }), 8);
}

TEST(Catalog, ReadsAFaultAsItIsTyped) {
  const auto spec = parse_fault(" latency  latency=100ms jitter=20ms direction=upstream probability=0.25 ").value();
  EXPECT_EQ(spec.type, find_fault("latency"));
  EXPECT_EQ(spec.time("latency"), milliseconds{100});
  EXPECT_EQ(spec.time("jitter"), milliseconds{20});
  EXPECT_EQ(spec.direction, FaultDirection::upstream);
  EXPECT_EQ(spec.probability, 0.25);
  EXPECT_EQ(spec.name, "latency_upstream");
  const auto rich = parse_fault("stall name=cable after=64KiB for=5s scope=client match=10.0.0.0/8").value();
  EXPECT_EQ(rich.direction, FaultDirection::both);
  EXPECT_EQ(rich.after, After{ByteOffset{65536}});
  EXPECT_EQ(rich.duration, seconds{5});
  EXPECT_EQ(rich.scope, FaultScope::client);
  EXPECT_TRUE(rich.match->matches(Address::parse_ip("10.1.2.3", 1).value()));
  EXPECT_EQ(parse_fault("bandwidth rate=100KB/s")->integer("rate"), 100'000);
  EXPECT_EQ(parse_fault("corrupt mode=replace at=3 with=00ff")->text("with"), std::string("\0\xff", 2));
  EXPECT_EQ(parse_fault("refuse")->name, "refuse");
  const auto lines = parse_fault("noop every=3 on=line nth=2").value();
  EXPECT_EQ(lines.selector, (Selector{.on = protocol::find_framer("line"), .nth = 2, .every = 3}));
}

TEST(Catalog, HasDefaults) {
  EXPECT_EQ(parse_fault("packet_loss")->fraction("loss_rate"), 0.1);
  EXPECT_EQ(parse_fault("loss")->time("rto"), milliseconds{200});
  EXPECT_EQ(parse_fault("loss")->integer("burst"), 1);
  EXPECT_EQ(parse_fault("latency")->text("distribution"), "uniform");
}

TEST(Catalog, SaysInOneSentenceWhatIsWrong) {
  EXPECT_EQ(refused(""), "it is empty: write a fault, such as \"latency latency=100ms\"");
  EXPECT_THAT(refused("lag"), HasSubstr("there is no fault \"lag\"; the faults are latency, bandwidth"));
  EXPECT_EQ(refused("latency 100ms"), "\"100ms\" is not a field: write NAME=VALUE, such as latency=100ms");
  EXPECT_THAT(refused("latency latency=100"), HasSubstr("latency: \"100\" is not a duration"));
  EXPECT_EQ(refused("latency delay=1s"),
            "latency: there is no field \"delay\"; it has latency, jitter, distribution, correlation, name, direction, "
            "probability, scope, match, after, for, on, nth and every");
  EXPECT_EQ(refused("latency distribution=gauss"),
            "latency: distribution: \"gauss\" is not uniform, constant, normal or pareto");
  EXPECT_THAT(refused("latency latency=1s latency=2s"), HasSubstr("latency is given twice"));
  EXPECT_THAT(refused("latency jitter=1s distribution=constant"), HasSubstr("jitter: with distribution=constant"));
  EXPECT_EQ(refused("bandwidth rate=100"),
            "bandwidth: rate: \"100\" is not bytes per second with their unit such as 100KB/s, 1.5MB/s or 0");
  EXPECT_THAT(refused("bandwidth rate=-5KB/s"), HasSubstr("bandwidth: rate: \"-5KB/s\" is not bytes per second"));
  EXPECT_EQ(refused("slicer average_size=4 size_variation=5"),
            "slicer: size_variation: 5 is more than average_size: write at most 4");
  EXPECT_EQ(refused("latency on=lien"), "latency: on: there are no messages \"lien\"; did you mean \"line\"?");
  EXPECT_EQ(refused("latency on=http"), "latency: on: there are no messages \"http\"; there are line");
  EXPECT_EQ(refused("latency on=line nth=0"), "latency: nth: \"0\" is not a whole number from 1, or off");
  EXPECT_EQ(refused("latency on=line every=few"), "latency: every: \"few\" is not a whole number from 1, or off");
  EXPECT_EQ(refused("latency every=3"), "latency: every: it counts messages, so say of which kind: add on=line");
  EXPECT_THAT(refused("refuse on=line"), HasSubstr("on: this fault acts before any byte passes"));
  EXPECT_EQ(refused("loss rate=2"), "loss: rate: \"2\" is not a number from 0 to 1");
  EXPECT_EQ(refused("loss burst=0"), "loss: burst: 0 is too small: write a whole number from 1 to 1000");
  EXPECT_EQ(refused("noop probability=nan"), "noop: probability: \"nan\" is not a number from 0 to 1");
  EXPECT_THAT(refused("noop direction=down"), HasSubstr("\"down\" is not one of upstream, downstream, both"));
  EXPECT_THAT(refused("noop scope=all"), HasSubstr("is not one of session, client, proxy"));
  EXPECT_THAT(refused("noop match=10.0.0.0/99"), HasSubstr("noop: match: \"10.0.0.0/99\" is not a client"));
  EXPECT_THAT(refused("noop after=100"), HasSubstr("noop: after: \"100\" is not a time"));
  EXPECT_THAT(refused("noop for=0"), HasSubstr("noop: for: 0 would be no time at all"));
  EXPECT_THAT(refused("noop name=a/b"), HasSubstr("is not a name"));
  EXPECT_THAT(refused("refuse direction=upstream"), HasSubstr("it takes no direction"));
  EXPECT_THAT(refused("corrupt"), HasSubstr("exactly one of at (an offset), rate and pattern"));
  EXPECT_THAT(refused("corrupt at=1 rate=0.5"), HasSubstr("exactly one of"));
  EXPECT_THAT(refused("corrupt at=1 mode=replace"), HasSubstr("mode=replace needs the bytes"));
  EXPECT_THAT(refused("corrupt at=1 with=00"), HasSubstr("only mode=replace writes bytes"));
  EXPECT_THAT(refused("corrupt pattern=0g"), HasSubstr("corrupt: pattern: \"0g\" is not bytes as hex digits"));
}

TEST(Catalog, WritesAFaultSoThatItIsReadBackTheSame) {
  for (const auto* text : {"latency latency=1500us jitter=20ms direction=both probability=0.1",
                           "bandwidth rate=1234B/s scope=proxy", "corrupt mode=replace pattern=0a0d with=00 after=3s",
                           "stall after=10KB for=90s match=::1", "refuse", "loss rate=0.01 burst=3 rto=1s",
                           "slicer average_size=10 size_variation=10 delay=100us", "limit_data bytes=0"}) {
    const auto spec = parse_fault(text).value();
    const auto again = make_fault(to_fields(spec));
    ASSERT_TRUE(again) << text << ": " << again.error().message;
    EXPECT_TRUE(same(spec, *again)) << text;
  }
}

TEST(Catalog, TakesNumbersWhereTheyNeedNoUnit) {
  const std::vector<Field> fields{{"type", std::string("slicer")},
                                  {"average_size", std::int64_t{64}},
                                  {"delay", std::int64_t{0}},
                                  {"probability", std::int64_t{1}}};
  EXPECT_EQ(make_fault(fields)->integer("average_size"), 64);
  const std::vector<Field> unitless{{"type", std::string("latency")}, {"latency", std::int64_t{100}}};
  EXPECT_EQ(make_fault(unitless).error().message,
            "latency: 100 is not a duration with its unit such as 100ms, 1.5s or 0");
}

TEST(Catalog, ChangesAFaultButNotWhatItIs) {
  const auto spec = parse_fault("latency latency=1s jitter=2s").value();
  const auto changed = change_fault(spec, std::vector<Field>{{"latency", std::string("5s")}}).value();
  EXPECT_EQ(changed.time("latency"), seconds{5});
  EXPECT_EQ(changed.time("jitter"), seconds{2});
  const auto same_type = std::vector<Field>{{"type", std::string("latency")}, {"direction", std::string("downstream")}};
  EXPECT_TRUE(change_fault(spec, same_type));
  EXPECT_THAT(change_fault(spec, std::vector<Field>{{"type", std::string("noop")}}).error().message,
              HasSubstr("stays a latency"));
  EXPECT_THAT(change_fault(spec, std::vector<Field>{{"direction", std::string("upstream")}}).error().message,
              HasSubstr("cannot be changed"));
}

TEST(Classic, SpeaksToxiproxysIntegers) {
  auto spec = make_classic("latency", "slow", Direction::upstream, 0.5).value();
  EXPECT_TRUE(set_classic(spec, "latency", 100).value());
  EXPECT_FALSE(set_classic(spec, "distribution", 1).value()) << "not one of toxiproxy's";
  EXPECT_FALSE(set_classic(spec, "nonsense", 1).value());
  EXPECT_EQ(spec.time("latency"), milliseconds{100});
  using Shown = std::vector<std::pair<std::string_view, std::int64_t>>;
  EXPECT_EQ(classic_attributes(spec), (Shown{{"latency", 100}, {"jitter", 0}}));
  auto rate = make_classic("bandwidth", "cap", Direction::downstream, 1).value();
  (void)set_classic(rate, "rate", 7);
  EXPECT_EQ(rate.integer("rate"), 7000);
  auto slices = make_classic("slicer", "s", Direction::downstream, 1).value();
  (void)set_classic(slices, "delay", 10);
  EXPECT_EQ(slices.time("delay"), microseconds{10});
  EXPECT_EQ(classic_attributes(make_classic("noop", "n", Direction::upstream, 1).value()), Shown{});
}

TEST(Classic, RefusesWhatIsOutOfRange) {
  EXPECT_EQ(make_classic("loss", "x", Direction::upstream, 1).error().message, "invalid toxic type");
  EXPECT_EQ(make_classic("nonsense", "x", Direction::upstream, 1).error().message, "invalid toxic type");
  auto rate = make_classic("bandwidth", "cap", Direction::downstream, 1).value();
  EXPECT_FALSE(set_classic(rate, "rate", std::numeric_limits<std::int64_t>::max()));
  (void)set_classic(rate, "rate", -1);
  EXPECT_THAT(check_fault(rate).error().message, HasSubstr("bandwidth: rate: -1KB/s is too small"));
  auto slices = make_classic("slicer", "s", Direction::downstream, 1).value();
  (void)set_classic(slices, "average_size", 5);
  (void)set_classic(slices, "size_variation", 5);
  EXPECT_TRUE(check_fault(slices)) << "all of it may vary";
}

TEST(Classic, HidesWhatToxiproxyCannotSay) {
  for (const auto* text :
       {"loss rate=0.1", "latency direction=both", "latency scope=client", "latency match=::1", "latency after=1s",
        "latency for=1s", "latency distribution=normal", "latency latency=1500us", "latency on=line",
        "bandwidth rate=10B/s", "refuse", "noop after=1B"}) {
    EXPECT_FALSE(classic_attributes(parse_fault(text).value())) << text;
  }
  EXPECT_TRUE(classic_attributes(parse_fault("latency latency=1s probability=0.5").value()));
}

TEST(FaultList, PutsAFaultWhereItIsWanted) {
  FaultList list;
  const auto put = [&](const char* name, std::size_t place) {
    list = *list.with(*parse_fault(std::string("noop name=") + name), place);
  };
  const auto names = [&] {
    std::string all;
    for (const auto& each : list.entries()) all += each->name;
    return all;
  };
  put("b", FaultList::at_the_end);
  put("a", 0);
  put("d", 99);
  put("c", 2);
  EXPECT_EQ(names(), "abcd");
  EXPECT_EQ(list.place_of("c"), 2U);
  EXPECT_FALSE(list.place_of("x"));
  const auto was = list.find("a");
  list = *list.moved("a", 3);
  EXPECT_EQ(names(), "bcda");
  EXPECT_EQ(list.find("a"), was) << "the same object: open sessions see no other fault";
  list = *list.moved("d", 0);
  EXPECT_EQ(names(), "dbca");
  EXPECT_FALSE(list.moved("x", 0));
}

}  // namespace
}  // namespace weir::fault
