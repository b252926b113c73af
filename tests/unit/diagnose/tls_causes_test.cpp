// Causes that show in the records of TLS, and before a database's first query.
#include "diagnose/told.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

auto record(std::uint8_t type, std::size_t length) -> std::string {
  return std::string{static_cast<char>(type), 3, 3, static_cast<char>(length >> 8), static_cast<char>(length & 0xff)} +
         std::string(length, '.');
}
const std::string client_hello = record(22, 300);
const std::string server_flight = record(22, 120) + record(20, 1) + record(23, 900) + record(23, 60);
const std::string client_finished = record(20, 1) + record(23, 53);
const std::string request = record(23, 100);
const std::string tickets = record(23, 250) + record(23, 250);
const std::string answer = record(23, 500);

class TlsCausesTest : public CausesTest {
 protected:
  void handshake(Nanos takes) { story.begins().client_sends(client_hello).after(takes).server_sends(server_flight); }
};

TEST_F(TlsCausesTest, AFirstAnswerThatWaitsForTheAckOfTheTicketsIsTold) {
  handshake(500us);
  story.after(1us).client_sends(client_finished + request).after(300us).server_sends(tickets).after(41ms);
  story.server_sends(answer);
  for (int i = 0; i < 3; ++i) story.after(1us).client_sends(request).after(200us).server_sends(answer);
  story.closes();
  EXPECT_THAT(told(), ElementsAre("tls_tickets server likely 41"));
  EXPECT_EQ(last.evidence.front().value, 2);
}

TEST_F(TlsCausesTest, FromFarAwayTheAnswerTakesARoundTripMore) {
  story.counts(LegName::server).least_round_trip = 20ms;
  handshake(21ms);
  story.after(1us).client_sends(client_finished + request).after(20ms).server_sends(tickets).after(64ms);
  story.server_sends(answer).closes();
  EXPECT_EQ(sum("tls_tickets").lost, 64ms);
}

TEST_F(TlsCausesTest, AnAnswerInTwoPiecesInALaterExchangeIsASplitWrite) {
  handshake(500us);
  story.after(1us).client_sends(client_finished + request).after(300us).server_sends(tickets + answer);
  story.after(1us).client_sends(request).after(200us).server_sends(record(23, 30)).after(41ms).server_sends(answer);
  story.closes();
  EXPECT_THAT(told(), ElementsAre("split_write server likely 41"));
}

TEST_F(TlsCausesTest, WhatIsNotTlsHasNoTickets) {
  story.begins().client_sends("q").after(1us).server_sends("10").after(41ms).server_sends("20").closes();
  EXPECT_THAT(told(), ElementsAre("split_write server likely 41"));
}

TEST_F(TlsCausesTest, AFirstRequestThatWaitsForTheAckOfTheHandshakesEndIsTheClients) {
  handshake(500us);
  story.after(1us).client_sends(client_finished).after(42ms).client_sends(request).after(1us).server_sends(answer);
  story.closes();
  EXPECT_THAT(told(), ElementsAre("tls_first_request client likely 42"));
}

TEST_F(TlsCausesTest, AFlightOfTheServersInPiecesIsTold) {
  story.begins().client_sends(client_hello).after(1us).server_sends(record(22, 120)).after(43ms);
  story.server_sends(record(20, 1) + record(23, 900)).after(1us).client_sends(client_finished + request);
  story.after(1us).server_sends(tickets + answer).closes();
  EXPECT_THAT(told(), ElementsAre("tls_flight_split server likely 43"));
}

TEST_F(TlsCausesTest, AFlightOfTheClientsInPiecesIsTheClients) {
  story.begins().client_sends(client_hello).after(1us).server_sends(record(22, 1200)).after(1us);
  story.client_sends(record(22, 66)).after(41ms).client_sends(record(20, 1) + record(22, 40)).after(1us);
  story.server_sends(record(20, 1) + record(22, 40)).after(1us).client_sends(request).after(1us).server_sends(answer);
  story.closes();
  EXPECT_THAT(told(), ElementsAre("tls_flight_split client likely 41"));
}

TEST_F(TlsCausesTest, TheHandshakeOfAShortSessionIsTold) {
  story.counts(LegName::server).least_round_trip = 20ms;
  handshake(22ms);
  story.after(1us).client_sends(client_finished + request).after(21ms).server_sends(tickets + answer).closes();
  EXPECT_THAT(told(), ElementsAre("think server likely 21", "tls_handshake server shown 22"));
  EXPECT_THAT(last.text, HasSubstr("1 round trip, 20.0ms of it on the path"));
  EXPECT_EQ(sum("think").times, 1u) << "the handshake is not the server's thinking as well";
}

TEST_F(TlsCausesTest, TheHandshakeOfTls12TakesTwoRoundTrips) {
  story.counts(LegName::server).least_round_trip = 20ms;
  story.begins().client_sends(client_hello).after(21ms).server_sends(record(22, 1200)).after(1us);
  story.client_sends(record(22, 66) + record(20, 1) + record(22, 40)).after(21ms);
  story.server_sends(record(20, 1) + record(22, 40)).after(1us).client_sends(request).after(21ms).server_sends(answer);
  story.closes();
  EXPECT_EQ(sum("tls_handshake").lost, 42ms);
  EXPECT_THAT(sum("tls_handshake").longest.text, HasSubstr("2 round trips"));
}

TEST_F(TlsCausesTest, TheHandshakeOfALongSessionIsNotWorthAWord) {
  handshake(2ms);
  story.after(1us).client_sends(client_finished + request).after(21ms).server_sends(tickets + answer);
  for (int i = 0; i < 20; ++i) story.client_sends(request).after(21ms).server_sends(answer);
  story.closes();
  EXPECT_EQ(sum("tls_handshake").times, 0u);
  EXPECT_EQ(sum("think").times, 22u);
  EXPECT_EQ(sum("think").lost, 21 * 21ms + 2ms);
}

TEST(TlsRecords, TakesItsStreamInAnyPieces) {
  const std::string stream = client_hello + client_finished + request;
  for (const std::size_t size : {std::size_t{1}, std::size_t{3}, std::size_t{7}, stream.size()}) {
    TlsRecords records;
    for (std::size_t at = 0; at < stream.size(); at += size) {
      records.add(std::string_view(stream).substr(at, size));
    }
    EXPECT_TRUE(records.is_tls() && records.between_records()) << size;
    EXPECT_EQ(records.data_records(), 2u);
    records.add("\x17\x03");
    EXPECT_FALSE(records.between_records());
  }
}

TEST(TlsRecords, AnyOtherStreamIsNone) {
  for (const std::string& stream : {std::string("GET / HTTP/1.1\r\n"), std::string("\x16\x03\x01\xff\xff", 5),
                                    std::string("\x17\x03\x03\x00\x10", 5)}) {
    TlsRecords records;
    records.add(stream);
    EXPECT_FALSE(records.is_tls()) << stream;
  }
}

// --- before the first query ---

const std::string startup = std::string("\0\0\0\x20\0\3\0\0", 8) + std::string(24, 'u');

TEST_F(TlsCausesTest, PostgresGreetingIsTold) {
  story.begins().client_sends(startup).after(5ms).server_sends("R sasl").after(1us);
  story.client_sends("p first").after(5ms).server_sends("R continue").after(1us);
  story.client_sends("p final").after(5ms).server_sends("R ok Z").after(1us);
  story.client_sends("Q select 1").after(2ms).server_sends("T D C Z").closes();
  EXPECT_EQ(sum("setup_round_trips").lost, 15ms);
  EXPECT_THAT(sum("setup_round_trips").longest.text, HasSubstr("PostgreSQL's greeting: 3 round trips"));
  EXPECT_EQ(sum("think").lost, 2ms);
}

TEST_F(TlsCausesTest, PostgresThatAgreesToEncryptGoesOnInTls) {
  story.begins().client_sends(std::string("\0\0\0\x08\x04\xd2\x16\x2f", 8)).after(3ms).server_sends("S").after(1us);
  story.client_sends(client_hello).after(9ms).server_sends(server_flight).after(1us);
  story.client_sends(client_finished + request).after(2ms).server_sends(answer).closes();
  EXPECT_EQ(sum("setup_round_trips").lost, 3ms);
  EXPECT_EQ(sum("tls_handshake").lost, 9ms);
}

TEST_F(TlsCausesTest, MySqlsGreetingIsTold) {
  const auto packet = [](char sequence, std::string_view text) {
    return std::string{static_cast<char>(text.size()), 0, 0, sequence} + std::string(text);
  };
  story.begins()
      .after(1ms)
      .server_sends(packet(0,
                           "\x0a"
                           "8.0.36"))
      .after(1us);
  story.client_sends(packet(1, "user")).after(4ms).server_sends(packet(2, "ok")).after(1us);
  story.client_sends(packet(0, "\x03select 1")).after(1ms).server_sends(packet(1, "row")).closes();
  EXPECT_EQ(sum("setup_round_trips").lost, 4ms);
  EXPECT_THAT(sum("setup_round_trips").longest.text, HasSubstr("MySQL's greeting: 1 round trip "));
}

TEST_F(TlsCausesTest, OtherProtocolsAndLongSessionsHaveNoGreetingToTell) {
  story.begins().client_sends("EHLO x").after(5ms).server_sends("250").client_sends("p").after(5ms).server_sends("250");
  story.closes();
  Story other = another(2);
  other.begins().client_sends(startup).after(5ms).server_sends("R ok Z").after(1us);
  for (int i = 0; i < 100; ++i) other.client_sends("Q select 1").after(2ms).server_sends("T D C Z");
  other.closes();
  EXPECT_EQ(sum("setup_round_trips").times, 0u);
}

}  // namespace
}  // namespace weir::diagnose
