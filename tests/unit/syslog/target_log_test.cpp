// The log with its threads, against real files and sockets. Waits have a deadline; nothing sleeps to synchronise.
#include "syslog/target_log.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/fd.h"
#include "net/socket.h"
#include "syslog/framing.h"
#include "syslog/message.h"

namespace weir::syslog {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr Nanos patience = seconds{20};

// A new folder, removed with all it holds.
struct Folder {
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-log-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  auto operator=(const Folder&) -> Folder& = delete;
  std::filesystem::path path;
};

struct TargetLogTest : testing::Test {
  void configure(const std::vector<std::string>& targets, LogLevel level = LogLevel::info) {
    LogSettings settings{.level = level};
    settings.targets = *LogSettings::parse_targets(targets);
    const auto set = log.configure(settings);
    ASSERT_TRUE(set) << set.error().message;
  }
  [[nodiscard]] auto text_of(const std::string& name) const -> std::string {
    std::ifstream file(folder / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  Folder made;  // first, so that it goes last: until then the log's thread may write a file
  const std::filesystem::path& folder = made.path;
  TargetLog log;
};

// A listening or receiving socket on 127.0.0.1.
auto bound(int type) -> std::pair<Fd, std::uint16_t> {
  Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_storage storage{};
  const socklen_t length = Address::parse_ip("127.0.0.1", 0)->to_sockaddr(storage);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length), 0);
  if (type == SOCK_STREAM) {
    EXPECT_EQ(::listen(fd.get(), 8), 0);
  }
  const auto port = net::local_address(fd.get())->port();
  return {std::move(fd), port};
}

auto readable(int fd) -> bool {
  pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 20'000) == 1;
}

auto read_some(int fd) -> std::string {
  if (!readable(fd)) return "";
  std::array<char, 65536> buffer{};
  const auto n = ::read(fd, buffer.data(), buffer.size());
  return {buffer.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
}

TEST_F(TargetLogTest, WritesToEveryTargetThatTakesTheLevel) {
  configure({"file:" + (folder / "a").string(), "file:" + (folder / "b").string()});
  log.debug("too fine");
  log.info("hello", {{"proxy", "db"}});
  log.flush(patience);
  EXPECT_THAT(text_of("a"), HasSubstr(" info hello proxy=db\n"));
  EXPECT_EQ(text_of("a"), text_of("b"));
  EXPECT_EQ(log.status().at(0).sent, 1U);
  EXPECT_FALSE(log.wants(LogLevel::debug));
}

TEST_F(TargetLogTest, OpensItsFileAgainAfterItWasMovedAway) {
  configure({"file:" + (folder / "log").string()});
  log.info("before");
  log.flush(patience);
  std::filesystem::rename(folder / "log", folder / "log.1");
  log.info("between");
  log.flush(patience);
  log.reopen();
  log.info("after");
  log.flush(patience);
  EXPECT_THAT(text_of("log.1"), HasSubstr("between"));
  EXPECT_THAT(text_of("log"), HasSubstr("after"));
  EXPECT_THAT(text_of("log"), testing::Not(HasSubstr("between")));
}

TEST_F(TargetLogTest, AFileThatCannotBeOpenedIsToldAndChangesNothing) {
  configure({"file:" + (folder / "log").string()});
  LogSettings settings;
  settings.targets = *LogSettings::parse_targets({"file:" + (folder / "missing" / "log").string()});
  const auto set = log.configure(settings);
  ASSERT_FALSE(set);
  EXPECT_THAT(set.error().message, HasSubstr("No such file or directory"));
  log.info("still here");
  log.flush(patience);
  EXPECT_THAT(text_of("log"), HasSubstr("still here"));
}

TEST_F(TargetLogTest, SendsDatagrams) {
  const auto [socket, port] = bound(SOCK_DGRAM);
  configure({fmt::format("syslog+udp://127.0.0.1:{}?facility=local3", port)});
  log.info("hello");
  const auto message = parse(read_some(socket.get()));
  EXPECT_EQ(message.pri.number(), 158U);
  EXPECT_EQ(message.text, "hello");
}

TEST_F(TargetLogTest, SendsToTheLocalDaemonsSocketOfEitherKind) {
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    const auto path = (folder / ("socket" + std::to_string(type))).string();
    Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    const socklen_t length = Address(Address::Unix{path}).to_sockaddr(storage);
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&storage), length), 0);
    if (type == SOCK_STREAM) {
      ASSERT_EQ(::listen(socket.get(), 1), 0);
    }
    configure({"syslog:local3@" + path});
    log.info("hello");
    if (type == SOCK_STREAM) {
      ASSERT_TRUE(readable(socket.get()));
      socket = Fd(::accept(socket.get(), nullptr, nullptr));
    }
    const auto text = read_some(socket.get());
    EXPECT_EQ(text.back() == '\0', type == SOCK_STREAM);
    EXPECT_EQ(parse(text).text, "hello");
  }
}

TEST_F(TargetLogTest, ConnectsAgainAndSendsWhatWaited) {
  auto [listener, port] = bound(SOCK_STREAM);
  configure({fmt::format("syslog+tcp://127.0.0.1:{}", port)});
  log.info("one");
  ASSERT_TRUE(readable(listener.get()));
  Fd connection(::accept(listener.get(), nullptr, nullptr));
  EXPECT_THAT(read_some(connection.get()), HasSubstr("one"));
  connection.reset();
  log.info("two");
  ASSERT_TRUE(readable(listener.get())) << "it has noticed the end before it sent anything";
  connection.reset(::accept(listener.get(), nullptr, nullptr));
  EXPECT_THAT(read_some(connection.get()), HasSubstr("two"));
}

// A receiver that never reads: its window and our buffers fill, then the queue, then messages are counted.
TEST_F(TargetLogTest, AReaderThatNeverReadsHoldsNobodyUp) {
  auto [listener, port] = bound(SOCK_STREAM);
  configure({fmt::format("syslog+tcp://127.0.0.1:{}", port)});
  const std::string text(4000, 'x');
  const auto deadline = std::chrono::steady_clock::now() + patience;
  Nanos longest{0};
  while (log.status().at(0).dropped == 0 && std::chrono::steady_clock::now() < deadline) {
    const auto begin = std::chrono::steady_clock::now();
    log.info(text);
    longest = std::max<Nanos>(longest, std::chrono::steady_clock::now() - begin);
  }
  EXPECT_GT(log.status().at(0).dropped, 0U);
  EXPECT_LE(log.status().at(0).waiting, 4097U);
  EXPECT_LT(longest, seconds{1});
  // Once it reads, all that was queued comes, and the word of what did not.
  Fd connection(::accept(listener.get(), nullptr, nullptr));
  std::string all;
  while (all.find("log messages were dropped here") == std::string::npos) {
    const auto more = read_some(connection.get());
    ASSERT_FALSE(more.empty());
    all = (all + more).substr(all.size() + more.size() > 200'000 ? all.size() + more.size() - 200'000 : 0);
  }
}

TEST_F(TargetLogTest, AStuckTargetDoesNotHoldUpTheEnd) {
  auto [listener, port] = bound(SOCK_STREAM);
  auto own = std::make_unique<TargetLog>();
  LogSettings settings;
  settings.targets = *LogSettings::parse_targets({fmt::format("syslog+tcp://127.0.0.1:{}", port)});
  ASSERT_TRUE(own->configure(settings));
  for (int i = 0; i < 10'000; ++i) own->info(std::string(4000, 'x'));
  const auto begin = std::chrono::steady_clock::now();
  own.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds{10});
}

TEST_F(TargetLogTest, ADeadTargetIsDownAndSaysWhy) {
  std::uint16_t port = 0;
  { port = bound(SOCK_STREAM).second; }
  configure({fmt::format("syslog+tcp://127.0.0.1:{}", port), "file:" + (folder / "log").string()});
  log.info("hello");
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (log.status().at(0).trouble.empty() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(log.status().at(0).trouble, "Connection refused");
  EXPECT_FALSE(log.status().at(0).up);
  log.flush(milliseconds{0});
  EXPECT_TRUE(log.status().at(1).trouble.empty()) << "the others do not suffer";
}

TEST_F(TargetLogTest, ATargetThatStaysKeepsItsConnection) {
  auto [listener, port] = bound(SOCK_STREAM);
  const auto target = fmt::format("syslog+tcp://127.0.0.1:{}", port);
  configure({target});
  log.info("one");
  ASSERT_TRUE(readable(listener.get()));
  Fd connection(::accept(listener.get(), nullptr, nullptr));
  EXPECT_THAT(read_some(connection.get()), HasSubstr("one"));
  configure({target, "file:" + (folder / "log").string()}, LogLevel::debug);
  log.debug("two");
  EXPECT_THAT(read_some(connection.get()), HasSubstr("two"));
}

}  // namespace
}  // namespace weir::syslog
