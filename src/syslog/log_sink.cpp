#include "syslog/log_sink.h"

#include <poll.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include "base/out_of_memory.h"
#include "syslog/log_delivery.h"

namespace weir::syslog {
namespace {

constexpr Nanos retry_for_memory = std::chrono::milliseconds{50};

// A line on stderr if it takes one at once: the only place left to say that the log is down.
void say_on_stderr(const std::string& line) {
  pollfd stderr_now{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&stderr_now, 1, 0) == 1) (void)!::write(STDERR_FILENO, line.data(), line.size());
}

// The journal knows the time of a line.
auto without_double_time(LineStyle style, int fd) -> LineStyle {
  style.with_time = style.with_time && !is_journal(fd);
  return style;
}

}  // namespace

// Outlives the sink if its thread is stuck.
struct LogSink::Shared {
  Shared(const Target& to, const LineStyle& as, const Clock& by)
      : target(to), style(as), clock(by), queue(by), output(make_output(target, interruption)) {}

  void run();
  void outage(const std::string& why);
  void show(const LogDelivery& delivery);  // under the mutex

  const Target target;
  const LineStyle style;
  const Clock& clock;
  const Speaker speaker = Speaker::this_process();
  Interruption interruption;
  LogQueue queue;
  std::unique_ptr<LogOutput> output;

  std::mutex mutex;
  std::condition_variable news;   // for the thread: something to do
  std::condition_variable rests;  // for others: the thread rests or has ended
  bool wanted = false;            // something was pushed since the thread last looked
  bool reopen = false;
  bool closing = false;
  bool resting = false;
  bool ended = false;
  SinkStatus shown;
};

void LogSink::Shared::outage(const std::string& why) {
  if (target.transport == Transport::standard_error) return;
  const bool with_time = without_double_time(style, STDERR_FILENO).with_time;
  say_on_stderr(fmt::format("{}weir: log {}: {}; it is tried again, and what does not fit meanwhile is counted\n",
                            with_time ? line_time(clock.wall()) : "", target.text, why));
}

void LogSink::Shared::show(const LogDelivery& delivery) {
  shown.up = delivery.is_up();
  shown.sent = delivery.sent();
  shown.trouble = delivery.trouble();
}

void LogSink::Shared::run() {
  const int fd = target.transport == Transport::standard_output ? STDOUT_FILENO : STDERR_FILENO;
  const LineStyle its_style = without_double_time(style, fd);
  LogDelivery delivery(
      queue, *output, clock, [&](const LogRecord& record) { return written(record, target, its_style, speaker); },
      [this](const std::string& why) { outage(why); });
  std::unique_lock lock(mutex);
  while (!closing) {
    wanted = false;
    if (std::exchange(reopen, false)) delivery.reopen();
    lock.unlock();
    // What there is no memory to send now is sent a little later.
    std::optional<MonoTime> next;
    if (!contained([&] { next = delivery.turn(); })) next = clock.mono() + retry_for_memory;
    lock.lock();
    (void)contained([&] { show(delivery); });
    resting = !wanted && !next;
    if (resting) rests.notify_all();
    const auto woken = [&] { return wanted || reopen || closing; };
    if (next) {
      // While it is down, new messages change nothing.
      news.wait_for(lock, std::max(*next - clock.mono(), Nanos{0}), [&] { return reopen || closing; });
    } else {
      news.wait(lock, woken);
    }
    resting = false;
  }
  lock.unlock();
  (void)contained([&] { delivery.last_turn(); });
  output->close();
  lock.lock();
  (void)contained([&] { show(delivery); });
  ended = true;
  rests.notify_all();
}

LogSink::LogSink(const Target& target, const LineStyle& style, const Clock& clock)
    : shared_(std::make_shared<Shared>(target, style, clock)) {
  shared_->shown.target = target.text;
  // Signals are the control thread's.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([shared = shared_] { shared->run(); }).detach();
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void LogSink::count_lost(std::uint64_t messages) { shared_->queue.count_lost(messages); }

LogSink::~LogSink() {
  std::unique_lock lock(shared_->mutex);
  shared_->closing = true;
  shared_->news.notify_all();
  const auto ended = [this] { return shared_->ended; };
  if (shared_->rests.wait_for(lock, patience_at_end, ended)) return;
  shared_->interruption.now();
  shared_->rests.wait_for(lock, patience_at_end, ended);
}

void LogSink::push(LogRecord record) {
  shared_->queue.push(std::move(record));
  const std::lock_guard lock(shared_->mutex);
  shared_->wanted = true;
  shared_->resting = false;
  shared_->news.notify_one();
}

void LogSink::reopen() {
  const std::lock_guard lock(shared_->mutex);
  shared_->reopen = true;
  shared_->news.notify_one();
}

auto LogSink::flush(Nanos patience) -> bool {
  std::unique_lock lock(shared_->mutex);
  return shared_->rests.wait_for(lock, patience, [this] { return shared_->resting || shared_->ended; });
}

auto LogSink::status() const -> SinkStatus {
  const std::lock_guard lock(shared_->mutex);
  SinkStatus status = shared_->shown;
  status.dropped = shared_->queue.dropped();
  status.waiting = shared_->queue.size();
  return status;
}

auto LogSink::target() const -> const Target& { return shared_->target; }
auto LogSink::style() const -> const LineStyle& { return shared_->style; }

}  // namespace weir::syslog
