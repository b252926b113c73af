#include "demo/naive_relay.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "base/listen_address.h"
#include "base/upstream_address.h"
#include "demo/embedded_upstream.h"
#include "demo/page.h"
#include "demo/workload.h"
#include "peer.h"

namespace weir::demo {
namespace {

using test::Peer;

// Bytes in which a lost, doubled or swapped piece shows: a 32-bit generator's (Numerical Recipes' LCG).
auto distinct_bytes(std::size_t count, std::uint32_t seed) -> std::string {
  std::string bytes(count, '\0');
  for (char& byte : bytes) {
    seed = seed * 1664525U + 1013904223U;
    byte = static_cast<char>(seed >> 24U);
  }
  return bytes;
}

// A relay with a client before it and a server behind it that the test plays itself.
class Between : public testing::Test {
 protected:
  void SetUp() override {
    listener_ = listen_on(loopback()).value();
    relay_.emplace(NaiveRelay::start(local_address(listener_.get()).value().port()).value());
    client_.emplace(Peer::connected_to(relay_->port()));
    pollfd waiting{.fd = listener_.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&waiting, 1, 5000), 1);
    auto accepted = accept_one(listener_.get()).value().value();
    const int flags = ::fcntl(accepted.get(), F_GETFL);
    ASSERT_EQ(::fcntl(accepted.get(), F_SETFL, flags & ~O_NONBLOCK), 0);
    server_.emplace(std::move(accepted));
  }
  auto client() -> Peer& { return *client_; }
  auto server() -> Peer& { return *server_; }
  auto relay() -> NaiveRelay& { return *relay_; }

 private:
  Fd listener_;
  std::optional<NaiveRelay> relay_;
  std::optional<Peer> client_;
  std::optional<Peer> server_;
};

TEST_F(Between, BytesArriveExactlyInBothDirectionsAtOnce) {
  const std::string up = distinct_bytes(300'000, 1);
  const std::string down = distinct_bytes(400'000, 2);
  std::string at_server;
  bool server_sent = false;
  bool client_sent = false;
  {
    const std::jthread server_sends([&] { server_sent = server().send(down); });
    const std::jthread server_reads([&] { at_server = server().receive(up.size()); });
    const std::jthread client_sends([&] { client_sent = client().send(up); });
    EXPECT_EQ(client().receive(down.size()), down);
  }
  EXPECT_EQ(at_server, up);
  EXPECT_TRUE(server_sent);
  EXPECT_TRUE(client_sent);
}

TEST_F(Between, TheClientsEndIsPassedOnAfterItsBytesAndTheServerMayStillAnswer) {
  ASSERT_TRUE(client().send(distinct_bytes(1000, 3)));
  client().end_sending();
  EXPECT_EQ(server().receive(1000), distinct_bytes(1000, 3));
  EXPECT_TRUE(server().at_end());
  EXPECT_TRUE(client().hears_nothing());
  ASSERT_TRUE(server().send("the answer"));
  server().close();
  EXPECT_EQ(client().receive(10), "the answer");
  EXPECT_TRUE(client().at_end());
}

TEST_F(Between, TheServersEndIsPassedOnAfterItsBytesAndTheClientMayStillSend) {
  ASSERT_TRUE(server().send(distinct_bytes(1000, 4)));
  server().end_sending();
  EXPECT_EQ(client().receive(1000), distinct_bytes(1000, 4));
  EXPECT_TRUE(client().at_end());
  EXPECT_TRUE(server().hears_nothing());
  ASSERT_TRUE(client().send("a last word"));
  client().close();
  EXPECT_EQ(server().receive(11), "a last word");
  EXPECT_TRUE(server().at_end());
}

TEST_F(Between, AResetOfOneSideEndsTheOther) {
  client().reset();
  EXPECT_EQ(server().receive(1), "");
}

TEST_F(Between, StoppingEndsBothSides) {
  EXPECT_TRUE(relay().stop());
  EXPECT_TRUE(client().at_end());
  EXPECT_TRUE(server().at_end());
}

TEST(NaiveRelay, RelaysAPageOfQueries) {
  auto upstream = EmbeddedUpstream::start().value();
  auto relay = NaiveRelay::start(upstream.port()).value();
  const auto page = run_page(relay.port(), 10, {.name = "naive relay"});  // run_page checks every reply
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->queries(), 10U);
}

TEST(NaiveRelay, AClientWhoseUpstreamRefusesIsClosed) {
  auto upstream = EmbeddedUpstream::start().value();
  auto relay = NaiveRelay::start(upstream.port()).value();
  ASSERT_TRUE(upstream.stop());
  EXPECT_TRUE(Peer::connected_to(relay.port()).at_end());
}

// What a function says on a stream, read line by line while it runs.
class Said {
 public:
  Said() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader_ = Fd(ends[0]);
    writer_ = ::fdopen(ends[1], "w");
  }
  ~Said() { std::fclose(writer_); }
  Said(const Said&) = delete;
  auto operator=(const Said&) -> Said& = delete;

  auto stream() -> std::FILE* { return writer_; }
  // The next line, without its end; what there is of it if five seconds pass without a byte.
  auto line() -> std::string {
    std::string text;
    pollfd readable{.fd = reader_.get(), .events = POLLIN, .revents = 0};
    for (char byte = 0; ::poll(&readable, 1, 5000) == 1 && ::read(reader_.get(), &byte, 1) == 1 && byte != '\n';) {
      text += byte;
    }
    return text;
  }

 private:
  Fd reader_;
  std::FILE* writer_ = nullptr;
};

// The port in "...listening on 127.0.0.1:PORT, upstream ...".
auto port_in(const std::string& line) -> std::uint16_t {
  const auto at = line.find("127.0.0.1:");
  return at == std::string::npos ? std::uint16_t{0}
                                 : static_cast<std::uint16_t>(std::strtoul(line.c_str() + at + 10, nullptr, 10));
}

TEST(RunNaiveRelay, SaysWhereItListensAndRelaysUntilItsStopDescriptorIsReadable) {
  auto upstream = EmbeddedUpstream::start().value();
  const auto listen = ListenAddress::parse("127.0.0.1:0").value();
  const auto target = UpstreamAddress::parse(fmt::format("localhost:{}", upstream.port())).value();
  const Fd stop(::eventfd(0, EFD_CLOEXEC));
  Said said;
  Result<void> ended = failure("still running");
  {
    const std::jthread relay([&] { ended = run_naive_relay(listen, target, stop.get(), said.stream()); });
    const std::string line = said.line();
    EXPECT_THAT(line, testing::MatchesRegex("weir: naive relay listening on 127\\.0\\.0\\.1:[1-9][0-9]*, upstream " +
                                            target.text));
    const auto page = run_page(port_in(line), 3, {.name = "naive relay"});
    EXPECT_TRUE(page) << page.error().message;
    ::eventfd_write(stop.get(), 1);
  }
  EXPECT_TRUE(ended);
}

TEST(RunNaiveRelay, TellsOfAnUpstreamThatCannotBeReached) {
  auto upstream = EmbeddedUpstream::start().value();
  const auto target = UpstreamAddress::parse(fmt::format("127.0.0.1:{}", upstream.port())).value();
  ASSERT_TRUE(upstream.stop());
  const Fd stop(::eventfd(0, EFD_CLOEXEC));
  Said said;
  Result<void> ended = failure("still running");
  {
    const std::jthread relay([&] {
      ended = run_naive_relay(ListenAddress::parse("127.0.0.1:0").value(), target, stop.get(), said.stream());
    });
    EXPECT_TRUE(Peer::connected_to(port_in(said.line())).at_end());
    EXPECT_EQ(said.line(), fmt::format("weir: naive relay: connect {}: Connection refused", target.text));
    ::eventfd_write(stop.get(), 1);
  }
  EXPECT_TRUE(ended);
}

TEST(RunNaiveRelay, EndsInOrderAtSigterm) {
  const auto target = UpstreamAddress::parse("127.0.0.1:9").value();  // nobody connects
  Said said;
  Result<void> ended = failure("still running");
  {
    std::jthread relay([&] {
      ended = run_naive_relay_until_signal(ListenAddress::parse("127.0.0.1:0").value(), target, said.stream());
    });
    ASSERT_THAT(said.line(), testing::StartsWith("weir: naive relay listening on "));
    ASSERT_EQ(::pthread_kill(relay.native_handle(), SIGTERM), 0);
  }
  EXPECT_TRUE(ended);
}

TEST(RunNaiveRelay, NamesAnAddressThatIsTaken) {
  auto upstream = EmbeddedUpstream::start().value();
  const auto taken = fmt::format("127.0.0.1:{}", upstream.port());
  const auto ended =
      run_naive_relay(ListenAddress::parse(taken).value(), UpstreamAddress::parse("127.0.0.1:9").value(), -1);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().message, fmt::format("listen {}: Address already in use", taken));
}

}  // namespace
}  // namespace weir::demo
