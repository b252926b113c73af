#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "view/scene.h"

namespace weir::view {
namespace {

using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;

auto json_view() -> ViewOptions { return {.kind = ViewKind::json, .utf8 = true}; }

auto printed_object(Scene& scene) -> json { return json::parse(scene.printed()); }

TEST(JsonView, ShowsASessionFromItsOpeningToItsEnd) {
  Scene scene(json_view());

  scene.opened(3);
  scene.after(1412us).up(3, "GET / \"x\"\r\n");
  scene.after(41300us).chunk(3, Direction::downstream, "\x00\xff"sv, 96);
  scene.after(1s).half_closed(3, Direction::downstream);
  scene.after(1s).closed(3, server_fin());

  EXPECT_EQ(
      scene.printed(),
      R"({"event":"opened","time":"2023-11-14T22:13:20.000000Z","mono_ns":1000000000000,"session":3,)"
      R"("client":"127.0.0.1:51234","upstream":"10.0.0.5:5432","connect_ns":412000})"
      "\n"
      R"({"event":"chunk","time":"2023-11-14T22:13:20.001412Z","mono_ns":1000001412000,"session":3,)"
      R"("direction":"upstream","offset":0,"bytes":11,"text":"GET / \"x\"\r\n"})"
      "\n"
      R"({"event":"chunk","time":"2023-11-14T22:13:20.042712Z","mono_ns":1000042712000,"session":3,)"
      R"("direction":"downstream","offset":96,"bytes":2,"base64":"AP8="})"
      "\n"
      R"({"event":"half_closed","time":"2023-11-14T22:13:21.042712Z","mono_ns":1001042712000,"session":3,)"
      R"("direction":"downstream"})"
      "\n"
      R"({"event":"closed","time":"2023-11-14T22:13:22.042712Z","mono_ns":1002042712000,"session":3,)"
      R"("cause":"server.fin","after_ns":1880000000,"message":"closed by server.fin after 1.88s",)"
      R"("client":"127.0.0.1:51234","upstream":"10.0.0.5:5432","age_ns":1880000000,)"
      R"("longest_silence_ns":1500000000,"waited_for_observers_ns":0,"totals":{"upstream":{"bytes":100,"chunks":1,"undelivered":0},)"
      R"("downstream":{"bytes":2000,"chunks":2,"undelivered":0}}})"
      "\n");
}

TEST(JsonView, LeavesOutWhatSaysNothing) {
  Scene scene(json_view());
  scene.closed(7, refused());
  EXPECT_EQ(
      scene.printed(),
      R"({"event":"closed","time":"2023-11-14T22:13:20.000000Z","mono_ns":1000000000000,"session":7,)"
      R"("cause":"connect.refused","after_ns":1200000,"message":"closed by connect.refused after 1.20ms",)"
      R"("detail":"10.0.0.5:5432: connection refused","client":"127.0.0.1:51234","age_ns":1200000,)"
      R"("longest_silence_ns":0,"waited_for_observers_ns":0,"totals":{"upstream":{"bytes":0,"chunks":0,"undelivered":0},)"
      R"("downstream":{"bytes":0,"chunks":0,"undelivered":0}}})"
      "\n");
}

TEST(JsonView, NamesTheLegOfACauseThatHasOne) {
  Scene scene(json_view());
  auto stalled = server_fin();
  stalled.cause = {.reason = event::CloseReason::timeout,
                   .timeout = event::TimeoutName::write_stall,
                   .leg = LegName::server,
                   .after = 60s};
  scene.closed(1, stalled);
  const json object = printed_object(scene);
  EXPECT_EQ(object["cause"], "write_stall");
  EXPECT_EQ(object["leg"], "server");
  EXPECT_EQ(object["message"], "closed by write_stall after 60.0s");
}

TEST(JsonView, TellsAGap) {
  Scene scene(json_view());
  scene.gap({.chunks = 12, .bytes = 34567, .events = 1});
  EXPECT_EQ(scene.printed(),
            R"({"event":"gap","time":"2023-11-14T22:13:20.000000Z","mono_ns":1000000000000,"chunks":12,)"
            R"("bytes":34567,"events":1})"
            "\n");
}

TEST(JsonView, SaysWhenTheKernelHadTheBytes) {
  Scene scene(json_view());
  event::ChunkRead read;
  read.kernel_time = MonoTime{999s + 5ns};
  scene.tell(1, read);
  EXPECT_THAT(scene.printed(), EndsWith(R"("offset":0,"bytes":0,"kernel_ns":999000000005,"text":""})"
                                        "\n"));
}

TEST(JsonView, NamesTheProxyOnlyWhereThereAreSeveral) {
  auto options = json_view();
  options.proxies = {"db", "ca\"che"};
  Scene scene(options);
  scene.on_proxy(1);
  scene.up(4, "x");
  EXPECT_THAT(scene.printed(), HasSubstr(R"(,"proxy":"ca\"che","session":4,"direction")"));
  scene.opened(5);
  EXPECT_THAT(scene.printed(), HasSubstr(R"(,"proxy":"ca\"che","session":5,"client")"));
}

TEST(JsonView, WritesTextByteForByteInBothSpellings) {
  const std::string text = "plain \\ / \" \b\f\n\r\t\x01\x1f\x7f caf\u00e9 \u4e16\u754c \U0001f600 \u2028";
  for (const bool utf8 : {true, false}) {
    Scene scene({.kind = ViewKind::json, .utf8 = utf8});
    scene.up(1, text);
    const std::string line = scene.printed();
    EXPECT_EQ(json::parse(line)["text"], text);
    EXPECT_EQ(line.find("café") != std::string::npos, utf8);
  }
}

TEST(JsonView, CountsWhatTheLimitCut) {
  auto options = json_view();
  options.limit = 4;
  Scene scene(options);

  scene.up(1, "abcdef");
  EXPECT_THAT(scene.printed(), EndsWith(R"("bytes":6,"cut":2,"text":"abcd"})"
                                        "\n"));
  scene.up(1, "\xff\xfe\xfd\xfc\xfb");
  EXPECT_THAT(scene.printed(), EndsWith(R"("bytes":5,"cut":1,"base64":"//79/A=="})"
                                        "\n"));
  scene.up(1, "abcd");
  EXPECT_THAT(scene.printed(), EndsWith(R"("bytes":4,"text":"abcd"})"
                                        "\n"));
}

TEST(JsonView, CutsNoCharacterInTwo) {
  auto options = json_view();
  options.limit = 4;
  Scene scene(options);
  scene.up(1, "ab\u4e16\u754c");  // the third character's last byte would be the fifth
  EXPECT_THAT(scene.printed(), EndsWith(R"("bytes":8,"cut":6,"text":"ab"})"
                                        "\n"));
}

TEST(JsonView, KeepsTheBytesOfACharacterThatTwoChunksShare) {
  Scene scene(json_view());
  scene.up(1, "ab\xe4\xb8");
  EXPECT_THAT(scene.printed(), EndsWith(R"("base64":"YWLkuA=="})"
                                        "\n"));
}

TEST(JsonView, WritesLongPayloadsWhole) {
  Scene scene(json_view());
  std::string text;
  // Four bytes a turn and a start at each of the four, so that pieces end at every byte of a character.
  for (const auto& start : {""s, "x"s, "xx"s, "xxx"s}) {
    text = start;
    while (text.size() < 30'000) text += "\u4e16\"";
    scene.up(1, text);
    EXPECT_EQ(printed_object(scene)["text"], text);
  }

  const std::string binary = text + '\xff';
  scene.up(1, binary);
  std::string decoded;
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned bits = 0;
  int count = 0;
  for (const char c : printed_object(scene)["base64"].get<std::string>()) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<unsigned>(letters.find(c));
    count += 6;
    if (count >= 8) decoded += static_cast<char>(bits >> (count -= 8));
  }
  EXPECT_EQ(decoded, binary);
}

TEST(JsonView, IsNeverColoured) {
  auto options = json_view();
  options.color = true;
  Scene scene(options);
  scene.opened(1);
  scene.up(1, "x");
  EXPECT_EQ(scene.printed().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace weir::view
