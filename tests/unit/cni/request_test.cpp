// What the skeleton refuses, in the reference's order and words, and what it answers by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cni/spec/plugin.h"

namespace weir::cni {
namespace {

using testing::HasSubstr;

auto environment(std::string command) -> Environment {
  return {.command = std::move(command),
          .container_id = "c1",
          .netns = "/nowhere",
          .ifname = "eth0",
          .args = {},
          .path = "/x"};
}

int calls = 0;

auto counting() -> const Plugin& {
  static constexpr auto nothing = [](const Request&) -> Result<void> {
    ++calls;
    return {};
  };
  static constexpr Plugin plugin{.name = "test",
                                 .add = [](const Request&) -> Result<AddResult> {
                                   ++calls;
                                   return AddResult{};
                                 },
                                 .del = nothing,
                                 .check = nothing,
                                 .gc = nothing,
                                 .status = nothing};
  return plugin;
}

std::string given;

struct Said {
  int code = -1;
  std::string out;
  std::string err;
};
auto call(Environment environment, std::string input, bool is_heard = true) -> Said {
  given = std::move(input);
  calls = 0;
  Said said;
  Streams streams{.read_input = [] { return Result<std::string>(given); },
                  .write_output =
                      [&](std::string_view text) {
                        said.out = text;
                        return is_heard;
                      },
                  .err = {}};
  said.code = call_plugin(counting(), std::move(environment), streams);
  said.err = streams.err;
  return said;
}

TEST(Environment_, NamesEveryMissingVariable) {
  EXPECT_EQ(check_environment({}).error().msg, "required env variables [CNI_COMMAND] missing");
  Environment add;
  add.command = "ADD";
  EXPECT_EQ(check_environment(add).error().msg,
            "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing");
  Environment del;
  del.command = "DEL";
  EXPECT_EQ(check_environment(del).error().msg, "required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing");
  Environment gc;
  gc.command = "GC";
  EXPECT_EQ(check_environment(gc).error().msg, "required env variables [CNI_PATH] missing");
  EXPECT_EQ(check_environment(environment("FOO")).error().msg, "unknown CNI_COMMAND: FOO");
}

TEST(Environment_, RefusesWhatWouldBecomeAPath) {
  for (const auto* id : {"../x", "a/b", ".a", "-a", "a b"}) {
    auto wrong = environment("ADD");
    wrong.container_id = id;
    EXPECT_EQ(check_environment(wrong).error().msg, "invalid characters in containerID") << id;
  }
  const auto refusal = [](std::string ifname) {
    auto wrong = environment("ADD");
    wrong.ifname = std::move(ifname);
    return check_environment(wrong).error().msg;
  };
  EXPECT_EQ(refusal("0123456789abcdef"), "interface name is too long");
  EXPECT_EQ(refusal(".."), "interface name is . or ..");
  for (const auto* name : {"a/b", "a:b", "a b", "a\xc2\xa0"}) {
    EXPECT_EQ(refusal(name), "interface name contains / or : or whitespace characters") << name;
  }
}

TEST(Environment_, LimitsAContainerIdWhenItIsAdded) {
  auto longest = environment("ADD");
  longest.container_id = std::string(1024, 'c');
  EXPECT_TRUE(check_environment(longest));
  longest.container_id += 'c';
  EXPECT_EQ(check_environment(longest).error().msg, "containerID is too long");
  EXPECT_EQ(check_environment(longest).error().details, "containerID has 1025 bytes, and may have 1024");
  longest.command = "DEL";  // whoever took it may be gone
  EXPECT_TRUE(check_environment(longest));
}

TEST(Request_, IsCheckedInOrderBeforeAnythingIsCalled) {
  const struct {
    const char* command;
    const char* input;
    const char* code;
    const char* words;
  } cases[] = {
      {"ADD", "", "\"code\": 6", "unexpected end of JSON input"},
      {"ADD", "[]", "\"code\": 6", "error unmarshall network config"},
      {"ADD", "{}", "\"code\": 7", "missing network name"},
      {"ADD", R"({"name":"a/b"})", "\"code\": 7", "invalid characters found in network name"},
      {"ADD", R"({"name":"n","cniVersion":"9.0.0"})", "\"code\": 1", "incompatible CNI versions"},
      {"CHECK", R"({"name":"n","cniVersion":"0.3.1"})", "\"code\": 1", "config version does not allow CHECK"},
      {"GC", R"({"name":"n","cniVersion":"1.1.0.0"})", "\"code\": 6", R"(invalid version \"1.1.0.0\": too many parts)"},
      {"ADD", R"({"name":"n","cniVersion":"1.1.0.0"})", "\"code\": 1", "incompatible CNI versions"},
      {"GC", R"({"name":"n","cniVersion":"1.0.0"})", "\"code\": 1", "config version does not allow GC"},
      {"STATUS", R"({"name":"n","cniVersion":"1.0.0"})", "\"code\": 1", "config version does not allow STATUS"},
  };
  for (const auto& each : cases) {
    const auto said = call(environment(each.command), each.input).out;
    EXPECT_THAT(said, HasSubstr(each.code)) << each.input;
    EXPECT_THAT(said, HasSubstr(each.words)) << each.input;
    EXPECT_THAT(said, HasSubstr("\"cniVersion\""));
    EXPECT_EQ(calls, 0) << each.input;
  }
}

TEST(Request_, OfAWrongTypeIsRefusedWhateverThePluginReads) {
  const auto refusal = [](const char* key, const char* value) {
    const auto said =
        call(environment("ADD"), cni::text({R"({"name":"n","cniVersion":"1.0.0",")", key, "\":", value, "}"}));
    return said.code == 0 ? "accepted" : parse_json(said.out)->at("msg").get<std::string>();
  };
  EXPECT_EQ(refusal("type", "5"), "failed to load netconf: type: expected a string, got the number 5");
  for (const auto* value : {"5", "\"x\"", "[]"}) {
    EXPECT_THAT(refusal("prevResult", value), HasSubstr("prevResult: expected an object")) << value;
  }
  EXPECT_THAT(refusal("capabilities", "[]"), HasSubstr("capabilities: expected an object"));
  EXPECT_EQ(refusal("capabilities", R"({"mac":"yes"})"),
            "failed to load netconf: capabilities.mac: expected true or false, got the string \"yes\"");
  EXPECT_EQ(refusal("capabilities", R"({"mac":true,"ips":null})"), "accepted");
  for (const auto* key : {"type", "prevResult", "capabilities"}) EXPECT_EQ(refusal(key, "null"), "accepted") << key;
}

TEST(Request_, IsRefusedInItsOwnVersionWhereThatIsKnown) {
  const auto version = [](const char* input) {
    return parse_json(call(environment("ADD"), input).out)->at("cniVersion").get<std::string>();
  };
  EXPECT_EQ(version(R"({"cniVersion":"0.3.1","name":"a/b"})"), "0.3.1");
  EXPECT_EQ(version(R"({"cniVersion":"9.0.0","name":"n"})"), "1.1.0");
  EXPECT_EQ(version(R"({"cniVersion":3,"name":"n"})"), "1.1.0");
  EXPECT_EQ(version("{"), "1.1.0");
}

TEST(Request_, InOurOwnNamespaceIsRefusedBeforeTheCall) {
  auto own = environment("ADD");
  own.netns = "/proc/self/ns/net";
  EXPECT_THAT(call(own, R"({"name":"n","cniVersion":"1.0.0"})").out, HasSubstr("\"code\": 8"));
  EXPECT_EQ(calls, 0);
  own.netns_override = true;
  EXPECT_THAT(call(own, R"({"name":"n","cniVersion":"1.0.0"})").out, HasSubstr("\"cniVersion\": \"1.0.0\""));
  EXPECT_EQ(calls, 1);
}

TEST(Request_, WithoutCommandGetsTheAboutTextOnStderr) {
  const auto said = call({}, "");
  EXPECT_EQ(said.out, "");
  EXPECT_THAT(said.err, testing::StartsWith("CNI test plugin "));
  EXPECT_THAT(said.err,
              HasSubstr("CNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n"));
}

TEST(Request_, VersionIsOneCompactLine) {
  EXPECT_EQ(call(environment("VERSION"), "not even JSON").out,
            "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":"
            "[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n");
}

TEST(Request_, AResultThatCannotBeWrittenIsUndone) {
  const auto said = call(environment("ADD"), R"({"name":"n","cniVersion":"0.2.0"})");
  EXPECT_THAT(said.out, HasSubstr("cannot convert: no valid IP addresses"));
  EXPECT_EQ(calls, 2);  // ADD, DEL
}

TEST(Request_, AResultThatNobodyHearsOfIsUndone) {
  const char* const config = R"({"name":"n","cniVersion":"1.0.0"})";
  EXPECT_EQ(call(environment("ADD"), config, false).code, 1);
  EXPECT_EQ(calls, 2);  // ADD, DEL
  EXPECT_EQ(call(environment("DEL"), config, false).code, 1);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(call(environment("ADD"), config).code, 0);
  EXPECT_EQ(calls, 1);
}

TEST(Gc, NeedsItsList) {
  const auto list = [](const char* text) {
    auto request = parse_request(Command::gc, environment("GC"), text);
    return valid_attachments(*request);
  };
  EXPECT_EQ(list(R"({"name":"n","cniVersion":"1.1.0"})").error().code, 7U);
  EXPECT_EQ(list(R"({"name":"n","cniVersion":"1.1.0","cni.dev/valid-attachments":null})").error().code, 7U);
  EXPECT_TRUE(list(R"({"name":"n","cniVersion":"1.1.0","cni.dev/valid-attachments":[]})")->empty());
  EXPECT_EQ(
      list(R"({"name":"n","cniVersion":"1.1.0","cni.dev/attachments":[{"containerID":"c","ifname":"e"}]})")->size(),
      1U);
  EXPECT_FALSE(list(R"({"name":"n","cniVersion":"1.1.0","cni.dev/attachments":[{"containerID":"c"}]})"));
  EXPECT_FALSE(list(R"({"name":"n","cniVersion":"1.1.0","cni.dev/attachments":[7]})"));
}

}  // namespace
}  // namespace weir::cni
