#include "view/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <thread>

#include "view/scene.h"

namespace weir::view {
namespace {

struct Pipe {
  Fd reader;
  Fd writer;
};
auto make_pipe(int flags = 0) -> Pipe {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), flags | O_CLOEXEC), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

auto read_all(int fd) -> std::string {
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t n = 0; (n = ::read(fd, part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(n));
  return text;
}

auto pattern(std::size_t size) -> std::string {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

class IgnoringSigpipe : public testing::Test {
 protected:
  IgnoringSigpipe() : old_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~IgnoringSigpipe() override { std::signal(SIGPIPE, old_); }

 private:
  void (*old_)(int);
};
using OutputToAClosedReader = IgnoringSigpipe;

TEST(Output, WritesNothingBeforeItIsFlushed) {
  Pipe pipe = make_pipe();
  Output output(pipe.writer.get());
  output.append("later");
  pollfd readable{.fd = pipe.reader.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 0);
  EXPECT_TRUE(output.flush());
  pipe.writer.reset();
  EXPECT_EQ(read_all(pipe.reader.get()), "later");
}

TEST(Output, KeepsTheOrderAcrossRoomRunsAndFullBuffers) {
  Pipe pipe = make_pipe();
  std::string got;
  std::thread reader([&] { got = read_all(pipe.reader.get()); });
  std::string expected;
  {
    Output output(pipe.writer.get());
    for (const std::size_t size :
         {1UL, 100UL, Output::capacity - 50, 60UL, Output::capacity, 3 * Output::capacity, 5UL}) {
      const std::string part = pattern(size);
      output.append(part);
      std::memcpy(output.space(1000), "0123456789", 10);
      output.commit(10);
      expected += part + "0123456789";
    }
    EXPECT_TRUE(output.flush());
  }
  pipe.writer.reset();
  reader.join();
  EXPECT_TRUE(got == expected);
}

TEST(Output, WaitsForANonBlockingDescriptorThatIsFull) {
  Pipe pipe = make_pipe(O_NONBLOCK);
  ASSERT_EQ(::fcntl(pipe.reader.get(), F_SETFL, 0), 0);  // only the writer's end does not block
  ASSERT_EQ(::fcntl(pipe.writer.get(), F_SETPIPE_SZ, 4096), 4096);
  const std::string text = pattern(300'000);
  std::string got;
  std::thread reader([&] { got = read_all(pipe.reader.get()); });
  Output output(pipe.writer.get());
  output.append(text);
  EXPECT_TRUE(output.flush());
  pipe.writer.reset();
  reader.join();
  EXPECT_TRUE(got == text);
}

TEST_F(OutputToAClosedReader, SaysSoAndThrowsAwayTheRest) {
  Pipe pipe = make_pipe();
  pipe.reader.reset();
  Output output(pipe.writer.get());
  output.append("x");
  EXPECT_FALSE(output.closed());
  EXPECT_FALSE(output.flush());
  EXPECT_TRUE(output.closed());
  EXPECT_EQ(output.error(), EPIPE);
  // Still harmless, however much is appended.
  for (int i = 0; i < 3; ++i) output.append(pattern(2 * Output::capacity));
  (void)output.space(Output::capacity);
  output.commit(Output::capacity);
  output.append("more");
  EXPECT_FALSE(output.flush());
}

TEST_F(OutputToAClosedReader, EndsEveryView) {
  for (const ViewKind kind : {ViewKind::text, ViewKind::hex, ViewKind::dump, ViewKind::json, ViewKind::raw}) {
    Pipe pipe = make_pipe();
    pipe.reader.reset();
    Output output(pipe.writer.get());
    const auto view = make_view({.kind = kind}, output);
    BlockPool pool;
    const event::Event chunk{MonoTime{1s}, ProxyId{}, SessionNumber{1},
                             event::ChunkRead{pool.copy(std::as_bytes(std::span("abc"sv))), 0, std::nullopt, {}}};
    EXPECT_TRUE(view->flush()) << "nothing to write yet";
    view->on_event(chunk, 0s);
    EXPECT_FALSE(view->flush());
    view->on_event(chunk, 0s);
    EXPECT_FALSE(view->flush());
  }
}

TEST(Output, NamesAnotherReasonThatItIsClosed) {
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full);
  Output output(full.get());
  output.append("x");
  EXPECT_FALSE(output.flush());
  EXPECT_EQ(output.error(), ENOSPC);
}

TEST(Output, AbandonedWritesNothingMore) {
  Pipe pipe = make_pipe();
  Output output(pipe.writer.get());
  output.append("never");
  output.abandon();
  EXPECT_FALSE(output.flush());
  EXPECT_EQ(output.error(), ECANCELED);
  pipe.writer.reset();
  EXPECT_EQ(read_all(pipe.reader.get()), "");
}

// Given a reader that never reads, a signal gets the writing thread out of write(2).
TEST(Output, AbandonedWhileBlockedReturnsAtASignal) {
  struct sigaction quiet {};
  quiet.sa_handler = [](int) {};  // no SA_RESTART
  struct sigaction old {};
  ASSERT_EQ(::sigaction(SIGUSR1, &quiet, &old), 0);
  Pipe pipe = make_pipe();
  Output output(pipe.writer.get());
  std::atomic<bool> done = false;
  std::atomic<bool> flushed = true;
  std::thread writer([&] {
    output.append(pattern(1'000'000));
    flushed = output.flush();
    done = true;
  });
  pollfd readable{.fd = pipe.reader.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&readable, 1, 10'000), 1);  // it has begun to write
  output.abandon();
  const MonoTime deadline = SystemClock::instance().mono() + 10s;
  while (!done && SystemClock::instance().mono() < deadline) {
    ::pthread_kill(writer.native_handle(), SIGUSR1);
    std::this_thread::yield();
  }
  if (!done) pipe.reader.reset();  // lets the writer go, so that the test ends red rather than never
  writer.join();
  EXPECT_FALSE(flushed);
  EXPECT_EQ(output.error(), ECANCELED);
  ::sigaction(SIGUSR1, &old, nullptr);
}

}  // namespace
}  // namespace weir::view
