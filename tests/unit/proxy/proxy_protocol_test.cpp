// The PROXY protocol before the stream (HAProxy's doc/proxy-protocol.txt).
#include "proxy/handshakes/proxy_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "proxy/handshake_catalog.h"
#include "proxy/opening_scene.h"

namespace weir::proxy::opening_scene {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// A version 2 header; `family` and `transport` as in its 14th byte.
auto v2(std::uint8_t command, std::uint8_t family_and_transport, std::string_view addresses, std::string_view more = "")
    -> std::string {
  std::string out("\r\n\r\n\0\r\nQUIT\n", 12);
  const std::size_t length = addresses.size() + more.size();
  for (const std::size_t byte : {std::size_t{command}, std::size_t{family_and_transport}, length >> 8, length & 0xff}) {
    out += static_cast<char>(byte);
  }
  return out.append(addresses).append(more);
}

const std::string v4_block("\xcb\x00\x71\x09\xc6\x33\x64\x01\x1f\x90\x01\xbb", 12);  // 203.0.113.9:8080
const std::string v6_block = [] {
  std::string block("\x20\x01\x0d\xb8", 4);
  block += std::string(11, '\0') + "\x07" + std::string(16, '\0') + "\x1f\x90\x01\xbb";
  return block;
}();

class BehindALoadBalancer : public Scene {
 protected:
  BehindALoadBalancer() { settings_.rules.handshake = find_handshake("proxy_protocol"); }

  // The client says all of it at once, with a request behind it.
  auto says(const std::string& header) -> std::string {
    begins();
    return hears(LegName::client, header + "GET");
  }
  auto goes_on_as(const std::string& header) -> std::string {
    EXPECT_EQ(says(header), "connect 10.0.0.1:5432");
    EXPECT_EQ(connects(), "done, the client said GET");
    return opening_->client().address.to_string();
  }
};

TEST_F(BehindALoadBalancer, TheClientIsWhoTheHeaderNames) {
  EXPECT_EQ(goes_on_as("PROXY TCP4 203.0.113.9 198.51.100.1 8080 443\r\n"), "203.0.113.9:8080");
  EXPECT_EQ(goes_on_as("PROXY TCP6 2001:db8::7 2001:db8::1 8080 443\r\n"), "[2001:db8::7]:8080");
  EXPECT_EQ(goes_on_as(v2(0x21, 0x11, v4_block)), "203.0.113.9:8080");
  EXPECT_EQ(goes_on_as(v2(0x21, 0x21, v6_block)), "[2001:db8::7]:8080");
  EXPECT_EQ(goes_on_as(v2(0x21, 0x31, "/run/app.sock" + std::string(216 - 13, '\0'))), "unix:/run/app.sock");
}

TEST_F(BehindALoadBalancer, WhatTheHeaderSaysBesidesIsTakenOff) {
  EXPECT_EQ(goes_on_as(v2(0x21, 0x11, v4_block, std::string(100, 'x'))), "203.0.113.9:8080");
}

TEST_F(BehindALoadBalancer, ALengthOverTheLimitIsTakenOffPieceByPiece) {
  const std::string header = v2(0x21, 0x11, v4_block, std::string(65000, 'x'));
  begins();
  std::string asked;
  for (std::size_t at = 0; at < header.size(); at += 10'000) {
    EXPECT_EQ(asked, "");
    asked = hears(LegName::client, std::string_view(header).substr(at, 10'000));
  }
  EXPECT_EQ(asked, "connect 10.0.0.1:5432");
}

TEST_F(BehindALoadBalancer, WhoSpeaksForItselfIsTheClient) {
  const std::string itself = "192.0.2.1:4000";
  EXPECT_EQ(goes_on_as("PROXY UNKNOWN\r\n"), itself);
  EXPECT_EQ(goes_on_as("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), itself);
  EXPECT_EQ(goes_on_as(v2(0x20, 0x00, "")), itself) << "LOCAL: a health check";
  EXPECT_EQ(goes_on_as(v2(0x20, 0x11, v4_block)), itself) << "LOCAL, whatever addresses it has";
  EXPECT_EQ(goes_on_as(v2(0x21, 0x00, "")), itself) << "a family that has no address here";
  EXPECT_EQ(goes_on_as(v2(0x21, 0x12, v4_block)), itself) << "datagrams";
}

TEST_F(BehindALoadBalancer, TheHeaderMayComeInAnyPieces) {
  for (const std::string& header : {std::string("PROXY TCP4 203.0.113.9 198.51.100.1 8080 443\r\n"),
                                    v2(0x21, 0x11, v4_block, "more"), v2(0x21, 0x21, v6_block)}) {
    for (std::size_t split = 1; split < header.size(); ++split) {
      begins();
      EXPECT_EQ(hears(LegName::client, header.substr(0, split)), "") << split;
      EXPECT_EQ(hears(LegName::client, header.substr(split)), "connect 10.0.0.1:5432") << split;
    }
  }
}

TEST_F(BehindALoadBalancer, WhoeverSaysSomethingElseIsNotServedAndIsToldOf) {
  struct {
    std::string bytes, why;
  } const cases[] = {
      {"GET / HTTP/1.1\r\n", "it began with \"GET / HTTP/1.1..\" and not with a PROXY header"},
      {"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n", "is not \"TCP4\" or \"TCP6\""},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "is not \"TCP4\" or \"TCP6\""},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "is not \"TCP4\" or \"TCP6\""},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 1  2\r\n", "is not \"TCP4\" or \"TCP6\""},
      {"PROXY TCP4 ::1 5.6.7.8 1 2\r\n", "no IPv4 address at \"::1\""},
      {"PROXY TCP6 ::1 5.6.7.8 1 2\r\n", "no IPv6 address at \"5.6.7.8\""},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", "a port that is no number up to 65535"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 1 02\r\n", "a port that is no number up to 65535"},
      {"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", "a port that is no number up to 65535"},
      {"PROXY " + std::string(101, 'x'), "no end within 107 bytes"},
      {v2(0x11, 0x11, v4_block), "of version 1"},
      {v2(0x22, 0x11, v4_block), "the command 2"},
      {v2(0x21, 0x41, v4_block), "a family or transport that is unknown"},
      {v2(0x21, 0x13, v4_block), "a family or transport that is unknown"},
      {v2(0x21, 0x11, v4_block.substr(1)), "11 bytes where its addresses take 12"},
  };
  for (const auto& each : cases) {
    const std::string end = says(each.bytes);
    EXPECT_THAT(end, HasSubstr("client.error after 0s with RST")) << each.bytes;
    EXPECT_THAT(end, HasSubstr(each.why)) << each.bytes;
    EXPECT_FALSE(counts_for_upstream_) << "the server has no part in it";
  }
}

TEST_F(BehindALoadBalancer, WhoeverSaysNothingIsNotWaitedForAnyLonger) {
  set(TimeoutName::handshake, 3s);
  EXPECT_EQ(begins(), "");
  EXPECT_EQ(passes(2s), "");
  EXPECT_EQ(hears(LegName::client, "PROXY TCP4 1"), "");
  fails_after(1s, "closed by handshake after 3.00s with RST: before its handshake was complete");
}

TEST_F(BehindALoadBalancer, TheClockStopsWithTheHeader) {
  set(TimeoutName::handshake, 3s);
  set(TimeoutName::connect, 1h);
  EXPECT_EQ(says("PROXY UNKNOWN\r\n"), "connect 10.0.0.1:5432");
  EXPECT_EQ(is_in_progress(), "");
  EXPECT_EQ(passes(4s), "");
}

// Whatever comes, the answer does not depend on how it was cut, and a header never takes what is not there.
TEST(ProxyHeaderProperty, BytesThatAreNoHeaderHarmNothing) {
  std::mt19937 random(7);
  const auto below = [&random](std::size_t most) { return random() % most; };
  const std::string seeds[] = {"PROXY TCP4 203.0.113.9 198.51.100.1 8080 443\r\n", "PROXY UNKNOWN\r\n",
                               v2(0x21, 0x11, v4_block, "more"), v2(0x21, 0x21, v6_block), v2(0x20, 0, "")};
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = seeds[below(std::size(seeds))];
    for (auto changes = below(4); changes > 0; --changes) {
      bytes[below(bytes.size())] = static_cast<char>(below(256));
    }
    const auto whole = read_proxy_header(as_bytes(bytes));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto part = read_proxy_header(as_bytes(std::string_view(bytes).substr(0, size)));
      if (!part) {
        ASSERT_FALSE(whole) << bytes;
        break;
      }
      if (const auto* header = std::get_if<ProxyHeader>(&*part)) {
        ASSERT_LE(header->size, size);
        ASSERT_EQ(header->client, std::get<ProxyHeader>(whole.value()).client);
        break;
      }
    }
  }
}

}  // namespace
}  // namespace weir::proxy::opening_scene
