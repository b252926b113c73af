#include "record/packet.h"

#include <pcap/dlt.h>

#include <deque>

#include "record/packets.h"

namespace weir::record {
namespace {

using namespace test;

auto text_of(const TcpPacket& packet) -> std::string {
  return {reinterpret_cast<const char*>(packet.payload.data()), packet.payload.size()};
}
auto ipv6(const std::string& payload, unsigned next = 6) -> std::string {
  return std::string("\x60\0\0\0", 4) + u16(static_cast<unsigned>(payload.size())) + static_cast<char>(next) + "\x40" +
         std::string(15, '\0') + "\x01" + std::string(15, '\0') + "\x02" + payload;
}

class PacketTest : public testing::Test {
 protected:
  // A packet's payload points into its bytes: they are kept until the test's end.
  auto read(Link link, std::string bytes, std::size_t more = 0) -> tl::expected<TcpPacket, NotTcp> {
    const std::string& kept = kept_.emplace_back(std::move(bytes));
    return read_packet(link, bytes_of(kept), kept.size() + more);
  }
  std::string segment = tcp({.sequence = 7, .acknowledges = 9, .payload = "query", .window = 321});

 private:
  std::deque<std::string> kept_;
};

TEST_F(PacketTest, EveryLinkHasItsHeader) {
  const std::string ip = ipv4(segment);
  const std::string sll = std::string(14, 's') + u16(0x0800);
  const std::string sll2 = u16(0x0800) + std::string(18, 's');
  for (const auto& [link, bytes] : std::vector<std::pair<Link, std::string>>{
           {Link::ethernet, ethernet(ip)},
           {Link::ethernet, ethernet(ip, u16(0x8100) + u16(5))},
           {Link::ethernet, ethernet(ip, u16(0x88a8) + u16(5) + u16(0x8100) + u16(6))},
           {Link::ethernet, std::string(12, 'm') + u16(0x8864) + std::string("\x11\0\0\x01\0\x20\0\x21", 8) + ip},
           {Link::raw, ip},
           {Link::null, std::string("\x02\0\0\0", 4) + ip},
           {Link::sll, sll + ip},
           {Link::sll2, sll2 + ip},
           {Link::ppp, std::string("\xff\x03\x00\x21", 4) + ip},
           {Link::ppp, std::string("\x00\x21", 2) + ip},
           {Link::raw, ipv6(segment)},
           {Link::ethernet, ethernet(ipv6(segment))},
           {Link::null, std::string("\0\0\0\x1e", 4) + ipv6(segment)}}) {
    const auto packet = read(link, bytes);
    ASSERT_TRUE(packet) << static_cast<int>(link);
    EXPECT_EQ(packet->from.port, 40000);
    EXPECT_EQ(packet->to.port, 5432);
    EXPECT_EQ(packet->sequence, 7u);
    EXPECT_EQ(packet->acknowledges, 9u);
    EXPECT_EQ(packet->window, 321);
    EXPECT_TRUE(packet->ack && !packet->syn && !packet->fin && !packet->rst);
    EXPECT_EQ(text_of(*packet), "query");
  }
  EXPECT_EQ(read(Link::raw, ip)->from.address().to_string(), "10.0.0.1:40000");
  EXPECT_EQ(read(Link::raw, ipv6(segment))->to.address().to_string(), "[::2]:5432");
}

TEST_F(PacketTest, Ipv6HeadersOfOtherKindsStandBetween) {
  const std::string hop = std::string("\x3c\x01", 2) + std::string(14, 'h');             // hop-by-hop, then destination
  const std::string destination = std::string("\x33\x00", 2) + std::string(6, 'd');      // then authentication
  const std::string authentication = std::string("\x2c\x01", 2) + std::string(10, 'a');  // 12 bytes, then fragment
  const std::string whole = std::string("\x06\x00\x00\x00", 4) + std::string(4, 'f');    // an atomic fragment
  const auto packet = read(Link::raw, ipv6(hop + destination + authentication + whole + segment, 0));
  ASSERT_TRUE(packet);
  EXPECT_EQ(text_of(*packet), "query");
  const std::string part = std::string("\x06\x00\x00\x01", 4) + std::string(4, 'f');
  EXPECT_EQ(read(Link::raw, ipv6(part + segment, 44)).error(), NotTcp::fragment);
  EXPECT_EQ(read(Link::raw, ipv6(segment, 17)).error(), NotTcp::other);
}

TEST_F(PacketTest, WhatIsNotTcpSaysWhy) {
  EXPECT_EQ(read(Link::raw, ipv4(segment, {.from = "aaaa", .to = "bbbb", .protocol = 17})).error(), NotTcp::other);
  EXPECT_EQ(read(Link::raw, ipv4(segment, {.from = "aaaa", .to = "bbbb", .fragment = 0x2000})).error(),
            NotTcp::fragment);
  EXPECT_EQ(read(Link::raw, ipv4(segment, {.from = "aaaa", .to = "bbbb", .fragment = 3})).error(), NotTcp::fragment);
  EXPECT_EQ(read(Link::ethernet, std::string(12, 'm') + u16(0x0806) + std::string(28, 'a')).error(), NotTcp::other);
}

TEST_F(PacketTest, PaddingBehindTheDatagramIsNoPayload) {
  EXPECT_EQ(read(Link::ethernet, ethernet(ipv4(segment)) + std::string(6, '\0'))->length, 5u);
}

TEST_F(PacketTest, ASegmentThatACardWasToCutHasNoLengthInItsHeader) {
  const std::string big = tcp({.payload = std::string(70'000, 'x')});
  const auto packet = read(Link::ethernet, ethernet(ipv4(big, {.from = "aaaa", .to = "bbbb", .length = 0})));
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->length, 70'000u);
}

TEST_F(PacketTest, ACutPacketKeepsItsLength) {
  const std::string whole = ethernet(ipv4(segment));
  const auto packet = read_packet(Link::ethernet, bytes_of(whole).first(whole.size() - 3), whole.size());
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->length, 5u);
  EXPECT_EQ(text_of(*packet), "qu");
  EXPECT_EQ(read_packet(Link::ethernet, bytes_of(whole).first(14 + 20 + 16), whole.size())->length, 5u);
  for (std::size_t held = 0; held < 14 + 20 + 16; ++held) {
    EXPECT_FALSE(read_packet(Link::ethernet, bytes_of(whole).first(held), whole.size())) << held;
  }
}

TEST_F(PacketTest, OptionsAreRead) {
  const std::string options =
      std::string("\x02\x04\x05\xb4\x03\x03\x07\x01", 8) + std::string("\x01\x01\x05\x0a", 4) + u32(100) + u32(200);
  const auto packet = read(Link::raw, ipv4(tcp({.options = options})));
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->mss, 1460);
  EXPECT_EQ(packet->window_scale, 7);
  EXPECT_EQ(packet->first_sack, std::pair(100u, 200u));
  for (const char size : {'\0', '\1', '\x7f'}) {  // none of these can be
    EXPECT_TRUE(read(Link::raw, ipv4(tcp({.options = std::string("\x02") + size + "\x05\xb4"}))));
  }
}

TEST_F(PacketTest, LengthsThatCannotBeAreDamage) {
  EXPECT_EQ(read(Link::raw, ipv4(segment, {.from = "aaaa", .to = "bbbb", .length = 19})).error(), NotTcp::cut);
  std::string no_header = ipv4(segment);
  no_header[0] = '\x41';
  EXPECT_EQ(read(Link::raw, no_header).error(), NotTcp::cut);
  std::string long_header = ipv4(segment);
  long_header[20 + 12] = '\xf0';  // 60 bytes of TCP header in 25
  EXPECT_EQ(read(Link::raw, long_header).error(), NotTcp::cut);
}

TEST_F(PacketTest, LinksHaveTheirNumbers) {
  EXPECT_EQ(link_of(DLT_EN10MB), Link::ethernet);
  EXPECT_EQ(link_of(DLT_LINUX_SLL2), Link::sll2);
  EXPECT_EQ(link_of(DLT_LOOP), Link::null);
  EXPECT_EQ(link_of(DLT_IEEE802_11), std::nullopt);
}

}  // namespace
}  // namespace weir::record
