// Results in every version of the specification.
#include <gtest/gtest.h>

#include "cni/spec/result.h"

namespace weir::cni {
namespace {

auto sample() -> AddResult {
  AddResult result;
  result.interfaces = {
      {.name = "br1", .mac = "02:00:00:00:00:01", .sandbox = {}, .mtu = 1500, .socket_path = {}, .pci_id = {}},
      {.name = "eth0", .mac = {}, .sandbox = "/run/netns/c1", .socket_path = {}, .pci_id = {}}};
  result.ips = {{.interface = 1, .address = *Prefix::parse("10.1.0.2/24"), .gateway = Ip::parse("10.1.0.1")},
                {.interface = 1, .address = *Prefix::parse("fd00::2/64"), .gateway = {}}};
  result.routes = {{.destination = *Prefix::parse("0.0.0.0/0"),
                    .gateway = Ip::parse("10.1.0.1"),
                    .priority = 3,
                    .table = 0,
                    .scope = {}}};
  return result;
}

auto compact(std::string_view version) -> std::string {
  const auto text = print_result(sample(), version);
  std::string out;
  for (const char c : *text) {
    if (c != '\n' && c != ' ') out += c;
  }
  return out;
}

TEST(Route_, IsAsTheKernelHasIt) {
  const auto of = [](const char* destination, Route route = {}) {
    route.destination = *Prefix::parse(destination);
    return route.as_kernel_has_it();
  };
  EXPECT_EQ(of("1100:200::1/24").destination.to_string(), "1100:200::/24");
  EXPECT_EQ(of("10.9.1.7/16").destination.to_string(), "10.9.0.0/16");
  EXPECT_EQ(of("::ffff:10.9.1.7/112").destination.to_string(), "10.9.0.0/16");
  EXPECT_EQ(of("10.9.1.7/0").destination.to_string(), "0.0.0.0/0");
  Route odd;
  odd.mtu = odd.advmss = 65535;
  odd.table = 0;
  odd.scope = 253;
  EXPECT_EQ(of("10.9.0.0/16", odd).mtu, 65520);
  EXPECT_EQ(of("10.9.0.0/16", odd).advmss, 65495);
  EXPECT_EQ(of("10.9.0.0/16", odd).table, std::nullopt);
  EXPECT_EQ(of("10.9.0.0/16", odd).scope, 253);
  EXPECT_EQ(of("fd00::/16", odd).scope, std::nullopt);
}

TEST(Result_, HasTheAlphabetsOrderFrom100On) {
  const std::string rest =
      R"(,"interfaces":[{"mac":"02:00:00:00:00:01","mtu":1500,"name":"br1"},{"name":"eth0","sandbox":"/run/netns/c1"}],)"
      R"("ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":1},{"address":"fd00::2/64","interface":1}],)"
      R"("routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","priority":3,"table":0}]})";
  EXPECT_EQ(compact("1.0.0"), R"({"cniVersion":"1.0.0")" + rest);
  EXPECT_EQ(compact("1.1.0"), R"({"cniVersion":"1.1.0")" + rest);
}

TEST(Result_, HasVersionsOfAddressesAndAnEmptyDnsBefore) {
  EXPECT_EQ(compact("0.4.0"),
            R"({"cniVersion":"0.4.0","interfaces":[{"name":"br1","mac":"02:00:00:00:00:01"},)"
            R"({"name":"eth0","sandbox":"/run/netns/c1"}],"ips":[{"version":"4","interface":1,"address":"10.1.0.2/24",)"
            R"("gateway":"10.1.0.1"},{"version":"6","interface":1,"address":"fd00::2/64"}],)"
            R"("routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","priority":3,"table":0}],"dns":{}})");
}

TEST(Result_, HasOneAddressAFamilyAtFirst) {
  EXPECT_EQ(compact("0.2.0"), R"({"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/24","gateway":"10.1.0.1",)"
                              R"("routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]},"ip6":{"ip":"fd00::2/64"},"dns":{}})");
  EXPECT_FALSE(print_result(AddResult{}, "0.1.0"));
}

TEST(Result_, ComesBackFromEveryVersion) {
  for (const auto* version : {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}) {
    const auto text = print_result(sample(), version);
    const auto again = parse_result(*parse_json(*text), version);
    ASSERT_TRUE(again) << version;
    EXPECT_EQ(*print_result(*again, version), *text) << version;
  }
}

TEST(Result_, OfAnOldVersionKeepsRoutesWithoutGateway) {
  const auto json = parse_json(R"({"ip4":{"ip":"10.1.0.2/24","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0"}]}})");
  EXPECT_FALSE(parse_result(*json, "0.2.0")->routes.at(0).gateway);
}

TEST(Result_, BeforeMustBeOfAVersionThatGoesWithTheConfiguration) {
  const auto refusal = [](const char* said, std::string_view version) {
    const auto config = parse_json(cni::text({R"({"prevResult":{"cniVersion":)", said, "}}"}));
    const auto checked = check_previous_version(*config, version);
    return checked ? std::string("accepted") : checked.error().msg;
  };
  EXPECT_EQ(refusal(R"("1.0.0")", "1.1.0"), "accepted");
  EXPECT_EQ(refusal(R"("0.3.1")", "0.4.0"), "accepted");
  EXPECT_EQ(refusal("null", "0.4.0"), "accepted");
  EXPECT_EQ(refusal(R"("9.9.9")", "1.0.0"),
            "could not parse prevResult: result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is \"9.9.9\"");
  EXPECT_EQ(
      refusal(R"("1.0.0")", "0.4.0"),
      "could not parse prevResult: result type supports [0.3.0 0.3.1 0.4.0] but unmarshalled CNIVersion is \"1.0.0\"");
  EXPECT_NE(refusal("3", "1.0.0"), "accepted");
  EXPECT_NE(refusal(R"("")", "1.0.0"), "accepted");
  EXPECT_TRUE(check_previous_version(*parse_json("{}"), "1.0.0"));
  EXPECT_TRUE(check_previous_version(*parse_json(R"({"prevResult":5})"), "1.0.0")) << "told by its reader";
}

TEST(Result_, RefusesWhatIsNone) {
  for (const auto* text : {R"({"ips":[{"address":"x"}]})", R"({"ips":{}})", R"({"routes":[{"dst":"1.2.3.4"}]})",
                           R"({"interfaces":[5]})", R"({"ips":[{"address":"10.1.0.2/24","gateway":"x"}]})"}) {
    EXPECT_FALSE(parse_result(*parse_json(text), "1.0.0")) << text;
  }
}

}  // namespace
}  // namespace weir::cni
