#include "cni/spec/waits.h"

#include <sys/file.h>
#include <sys/time.h>

#include <cerrno>
#include <csignal>
#include <ctime>

namespace weir::cni {
namespace {

// For as long as it lives, SIGALRM interrupts what the process waits in, `seconds` after it began and then each second:
// one signal may come just before the wait.
class Alarm {
 public:
  explicit Alarm(int seconds) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, &before_);
    sigset_t wanted{};  // whoever started us may have blocked it
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGALRM);
    ::sigprocmask(SIG_UNBLOCK, &wanted, nullptr);
    const itimerval times{.it_interval = {1, 0}, .it_value = {seconds, 0}};
    ::setitimer(ITIMER_REAL, &times, nullptr);
  }
  Alarm(const Alarm&) = delete;
  auto operator=(const Alarm&) -> Alarm& = delete;
  ~Alarm() {
    const itimerval none{};
    ::setitimer(ITIMER_REAL, &none, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  struct sigaction before_ {};
};

}  // namespace

auto clock_ms() -> std::int64_t {
  struct timespec now {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

auto lock_within(int file, int how, int seconds) -> bool {
  if (::flock(file, how | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK) return false;
  const Alarm alarm(seconds);
  const auto end = clock_ms() + std::int64_t{seconds} * 1000;
  while (::flock(file, how) != 0) {
    if (errno != EINTR) return false;
    if (clock_ms() < end) continue;
    errno = EWOULDBLOCK;
    return false;
  }
  return true;
}

}  // namespace weir::cni
