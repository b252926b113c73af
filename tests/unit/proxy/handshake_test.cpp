// What a handshake may do between accept and the stream, shown by a toy.
#include "proxy/handshake.h"

#include <gtest/gtest.h>

#include "proxy/opening_scene.h"

namespace weir::proxy::opening_scene {
namespace {

using namespace std::chrono_literals;

// The client says one line; what it may hold is below. The server may have to say "ready\n" first.
class Toy final : public Handshake {
 public:
  void on_accepted(HandshakeContext& context) override { context.wait(TimeoutName::first_byte_client, context.now()); }
  void on_bytes(HandshakeContext& context, LegName from) override {
    const std::string text = as_text(context.bytes(from));
    const std::size_t end = text.find('\n');
    if (end == std::string::npos) return;
    const std::string line = text.substr(0, end);
    context.consume(from, end + 1);
    if (from == LegName::server) return context.done();
    context.stop_waiting();
    if (line == "bad") {
      say(context, LegName::client, "no\n");
      return context.fail(event::CloseReason::client_error, LegName::client, "it said bad");
    }
    waits_for_server_ = line == "wait";
    if (line == "hello") say(context, LegName::client, "wait\n");
    if (line == "i am 203.0.113.9") context.show_client(ClientAddress(ip("203.0.113.9", 7)));
    std::optional<UpstreamTarget> target;
    std::optional<SourceAddress> source;
    if (line == "elsewhere") target = UpstreamTarget{{ip("10.9.9.9"), ""}};
    if (line == "by name") target = UpstreamTarget{UpstreamAddress::parse("other.example:1").value()};
    if (line == "local") target = original(context);
    if (line == "from") source = SourceAddress(ip("10.0.0.99", 0));
    context.connect(std::move(target), std::move(source));
  }
  void on_connected(HandshakeContext& context, const ServerAddress& server) override {
    if (waits_for_server_) return context.wait(TimeoutName::first_byte_server, context.now());
    say(context, LegName::server, "you are " + server.address.to_string() + "\n");
    context.done();
  }
  void on_connect_failed(HandshakeContext& context, const event::CloseCause& cause) override {
    say(context, LegName::client, "sorry: " + std::string(event::to_string(cause)) + "\n");
  }

 private:
  static void say(HandshakeContext& context, LegName to, const std::string& text) { context.send(to, as_bytes(text)); }
  static auto original(HandshakeContext& context) -> std::optional<UpstreamTarget> {
    const auto& to = context.accepted().original_destination;
    return to ? std::optional(UpstreamTarget{{to->address, ""}}) : std::nullopt;
  }
  bool waits_for_server_ = false;
};

class OpeningHandshake : public Scene {
 protected:
  OpeningHandshake() { settings_.rules.handshake = &toy_; }

 private:
  const HandshakeInfo toy_{"toy", "please", [] { return std::make_unique<Toy>(); }};
};

TEST_F(OpeningHandshake, ComesBeforeTheUpstreamIsConnected) {
  EXPECT_EQ(begins(), "");
  EXPECT_EQ(phase(), OpeningPhase::handshake);
  EXPECT_FALSE(opening_->reads(LegName::server)) << "there is none yet";
  EXPECT_EQ(hears(LegName::client, "pl"), "");
  EXPECT_EQ(hears(LegName::client, "ease\nSELECT"), "connect 10.0.0.1:5432");
  EXPECT_FALSE(opening_->reads(LegName::client)) << "what follows stays in the kernel";
  EXPECT_EQ(connects(), "");
  EXPECT_EQ(to_send(LegName::server), "you are 10.0.0.1:5432\n");
  EXPECT_EQ(phase(), OpeningPhase::handshake);
  EXPECT_EQ(takes(LegName::server, 8), "");
  EXPECT_EQ(to_send(LegName::server), "10.0.0.1:5432\n");
  EXPECT_EQ(takes(LegName::server, 14), "done, the client said SELECT") << "all is sent before the stream begins";
}

TEST_F(OpeningHandshake, MayWriteToTheClientBeforeTheUpstreamIsReached) {
  (void)begins();
  EXPECT_EQ(hears(LegName::client, "hello\n"), "connect 10.0.0.1:5432");
  EXPECT_EQ(to_send(LegName::client), "wait\n");
  EXPECT_EQ(takes(LegName::client, 5), "");
  EXPECT_EQ(fails(ECONNREFUSED), "closed by connect.refused after 0s with FIN: 10.0.0.1:5432: Connection refused")
      << "a reset would discard what it was told";
  EXPECT_EQ(to_send(LegName::client), "sorry: connect.refused\n");
  EXPECT_TRUE(counts_for_upstream_);
}

TEST_F(OpeningHandshake, MayFailWithACauseAndAWord) {
  (void)begins();
  (void)passes(2s);
  EXPECT_EQ(hears(LegName::client, "bad\n"), "closed by client.error after 2.00s with FIN: it said bad");
  EXPECT_EQ(to_send(LegName::client), "no\n");
  EXPECT_FALSE(counts_for_upstream_);
}

TEST_F(OpeningHandshake, MaySayWhoTheClientIsAndFaultsGoByThat) {
  set_faults({"connect_delay delay=1s match=203.0.113.9"});
  (void)begins();
  EXPECT_EQ(opening_->client(), ClientAddress(ip("192.0.2.1", 4000)));
  EXPECT_EQ(hears(LegName::client, "i am 203.0.113.9\n"), "fault connect_delay");
  EXPECT_EQ(opening_->client(), ClientAddress(ip("203.0.113.9", 7)));
}

TEST_F(OpeningHandshake, MayChooseTheUpstream) {
  (void)begins();
  EXPECT_EQ(hears(LegName::client, "elsewhere\n"), "connect 10.9.9.9:5432");
}

TEST_F(OpeningHandshake, OrANameToLookUp) {
  (void)begins();
  EXPECT_EQ(hears(LegName::client, "by name\n"), "resolve other.example:1");
}

TEST_F(OpeningHandshake, OrWhereTheClientHadMeantToGo) {
  opening_.emplace(Accepted{SessionNumber{1}, now_, ClientAddress(ip("192.0.2.1", 4000)),
                            LocalAddress(ip("127.0.0.1", 8888)), OriginalDestination(ip("198.51.100.5", 80))},
                   rules());
  opening_->begin(now_);
  EXPECT_EQ(hears(LegName::client, "local\n"), "connect 198.51.100.5:80");
}

TEST_F(OpeningHandshake, MayChooseTheAddressToConnectFrom) {
  (void)begins();
  EXPECT_EQ(hears(LegName::client, "from\n"), "connect 10.0.0.1:5432 from 10.0.0.99:0");
}

TEST_F(OpeningHandshake, WaitsByAClockOfItsName) {
  set(TimeoutName::first_byte_client, 3s);
  (void)begins();
  EXPECT_EQ(hears(LegName::client, "hel"), "");
  fails_after(3s, "closed by first_byte.client after 3.00s with RST: before its handshake was complete");
  EXPECT_FALSE(counts_for_upstream_) << "the client is to blame";
}

TEST_F(OpeningHandshake, WaitsNoMoreWhenItSaysSo) {
  set(TimeoutName::first_byte_client, 3s);
  set(TimeoutName::connect, std::nullopt);
  (void)begins();
  (void)hears(LegName::client, "please\n");
  (void)is_in_progress();
  EXPECT_EQ(due(), MonoTime::max());
}

TEST_F(OpeningHandshake, MayWaitForTheServersWord) {
  set(TimeoutName::first_byte_server, 4s);
  (void)begins();
  (void)hears(LegName::client, "wait\nSELECT");
  EXPECT_EQ(connects(), "");
  EXPECT_TRUE(opening_->reads(LegName::client) && opening_->reads(LegName::server));
  EXPECT_EQ(due(), now_ + 4s);
  EXPECT_EQ(hears(LegName::server, "rea"), "");
  EXPECT_EQ(hears(LegName::server, "dy\nrows"), "done, the client said SELECT, the server said rows");
  EXPECT_EQ(due(), MonoTime::max());
}

TEST_F(OpeningHandshake, AServerThatSaysNothingIsToBlame) {
  set(TimeoutName::first_byte_server, 4s);
  (void)begins();
  (void)hears(LegName::client, "wait\n");
  (void)connects();
  fails_after(4s, "closed by first_byte.server after 4.00s with RST: before its handshake was complete");
  EXPECT_TRUE(counts_for_upstream_);
}

TEST_F(OpeningHandshake, AClientThatEndsBeforeItIsCompleteIsNotServed) {
  (void)begins();
  (void)hears(LegName::client, "pl");
  EXPECT_EQ(ends(LegName::client), "closed by client.fin after 0s with RST: before its handshake was complete");
}

TEST_F(OpeningHandshake, AServerThatEndsOrResetsBeforeItIsComplete) {
  for (const bool reset : {false, true}) {
    (void)begins();
    (void)hears(LegName::client, "wait\n");
    (void)connects();
    EXPECT_EQ(reset ? breaks(LegName::server) : ends(LegName::server),
              std::string("closed by server.") + (reset ? "reset" : "fin") +
                  " after 0s with RST: before its handshake was complete");
  }
}

TEST_F(OpeningHandshake, OneThatDoesNotEndIsBounded) {
  (void)begins();
  EXPECT_EQ(hears(LegName::client, std::string(Handshake::limit - 1, 'x')), "");
  EXPECT_EQ(opening_->room(LegName::client), 1u);
  EXPECT_EQ(hears(LegName::client, "x"), "closed by client.error after 0s with RST: its handshake does not end");
}

TEST_F(OpeningHandshake, OneAsLongAsTheLimitIsStillGood) {
  (void)begins();
  (void)hears(LegName::client, std::string(Handshake::limit - 1, 'x'));
  EXPECT_EQ(hears(LegName::client, "\n"), "connect 10.0.0.1:5432");
}

TEST_F(OpeningHandshake, IsDelayedWithItsAccept) {
  set_faults({"accept_delay delay=2s"});
  EXPECT_EQ(begins(), "fault accept_delay");
  EXPECT_FALSE(opening_->reads(LegName::client));
  EXPECT_EQ(passes(2s), "");
  EXPECT_TRUE(opening_->reads(LegName::client));
}

TEST_F(OpeningHandshake, NothingIsAskedForAfterTheEnd) {
  (void)begins();
  (void)hears(LegName::client, "bad\n");
  EXPECT_FALSE(opening_->reads(LegName::client));
  EXPECT_EQ(breaks(LegName::client), "");
  EXPECT_EQ(connects(), "");
  EXPECT_EQ(passes(100h), "");
}

}  // namespace
}  // namespace weir::proxy::opening_scene
