#include "demo/embedded_upstream.h"

#include <gmock/gmock.h>

#include <string>

#include "demo/page.h"
#include "demo/workload.h"
#include "peer.h"

namespace weir::demo {
namespace {

using test::Peer;

auto query(std::size_t number) -> std::string {
  const Query bytes = make_query(number);
  return {bytes.data(), bytes.size()};
}
auto reply(std::size_t number) -> std::string {
  const Reply bytes = make_reply(number);
  return {bytes.data(), bytes.size()};
}

TEST(Workload, AReplyRepeatsTheNumberOfItsQuery) {
  EXPECT_THAT(query(42), testing::HasSubstr("a.id = 000042 "));
  EXPECT_THAT(reply(42), testing::HasSubstr("\n000042 | "));
  EXPECT_EQ(reply_to(query(999'999)), make_reply(999'999));
  EXPECT_NE(make_reply(1), make_reply(2));
}

TEST(EmbeddedUpstream, AnswersAWholeQuery) {
  auto upstream = EmbeddedUpstream::start().value();
  const Peer client = Peer::connected_to(upstream.port());
  ASSERT_TRUE(client.send(query(7)));
  EXPECT_EQ(client.receive(reply_size), reply(7));
}

TEST(EmbeddedUpstream, AnswersAQueryThatComesByteByByteOnlyWhenItIsWhole) {
  auto upstream = EmbeddedUpstream::start().value();
  const Peer client = Peer::connected_to(upstream.port());
  const std::string bytes = query(123);
  set_no_delay(client.socket());
  for (const char byte : bytes.substr(0, query_size - 1)) ASSERT_TRUE(client.send({&byte, 1}));
  // Another connection's answer comes after those bytes were there to be read: the upstream saw them.
  const Peer other = Peer::connected_to(upstream.port());
  ASSERT_TRUE(other.send(query(1)));
  ASSERT_EQ(other.receive(reply_size), reply(1));
  EXPECT_TRUE(client.hears_nothing());
  ASSERT_TRUE(client.send(bytes.substr(query_size - 1)));
  EXPECT_EQ(client.receive(reply_size), reply(123));
}

TEST(EmbeddedUpstream, AnswersQueriesThatComeTogetherInOrder) {
  auto upstream = EmbeddedUpstream::start().value();
  const Peer client = Peer::connected_to(upstream.port());
  ASSERT_TRUE(client.send(query(1) + query(2) + query(3)));
  EXPECT_EQ(client.receive(3 * reply_size), reply(1) + reply(2) + reply(3));
}

TEST(EmbeddedUpstream, AnswersWhatWasAskedBeforeTheClientEnded) {
  auto upstream = EmbeddedUpstream::start().value();
  const Peer client = Peer::connected_to(upstream.port());
  ASSERT_TRUE(client.send(query(5) + "half a query"));
  client.end_sending();
  EXPECT_EQ(client.receive(reply_size), reply(5));
  EXPECT_TRUE(client.at_end());
}

TEST(EmbeddedUpstream, OutlivesAClientThatResets) {
  auto upstream = EmbeddedUpstream::start().value();
  Peer rude = Peer::connected_to(upstream.port());
  ASSERT_TRUE(rude.send(query(1)));
  rude.reset();
  const auto page = run_page(upstream.port(), 3, {.name = "direct"});
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->queries(), 3U);
  EXPECT_TRUE(upstream.stop());
}

TEST(EmbeddedUpstream, StoppingDropsItsClientsAndItsPort) {
  auto upstream = EmbeddedUpstream::start().value();
  const Peer client = Peer::connected_to(upstream.port());
  ASSERT_TRUE(client.send(query(1)));
  ASSERT_EQ(client.receive(reply_size), reply(1));
  EXPECT_TRUE(upstream.stop());
  EXPECT_TRUE(client.at_end());
  const auto page = run_page(upstream.port(), 1, {.name = "direct"});
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().message,
            fmt::format("direct, 127.0.0.1:{0}: connect 127.0.0.1:{0}: Connection refused", upstream.port()));
}

}  // namespace
}  // namespace weir::demo
