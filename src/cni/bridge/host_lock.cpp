#include "cni/bridge/host_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/time.h>

#include <cerrno>
#include <csignal>

#include "cni/spec/error.h"

namespace weir::cni::bridge {

namespace {

constexpr int longest_wait_s = 10;

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

auto lock(std::string_view what, int how) -> Fd {
  const auto path = text({"/run/weir-cni.", what, ".lock"});
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file || ::flock(file.get(), how | LOCK_NB) == 0) return file;
  if (errno != EWOULDBLOCK) return {};
  const Alarm alarm(longest_wait_s);
  if (::flock(file.get(), how) == 0) return file;
  return {};
}

}  // namespace

auto HostLock::operator=(HostLock&& other) noexcept -> HostLock& {
  if (this != &other) {
    release();
    file_ = std::move(other.file_);
  }
  return *this;
}

auto HostLock::take(std::string_view what) -> HostLock { return HostLock(lock(what, LOCK_EX)); }

auto HostLock::wait_for(std::string_view what) -> void { (void)lock(what, LOCK_SH); }

auto HostLock::release() -> void {
  if (file_) (void)::flock(file_.get(), LOCK_UN);
  file_.reset();
}

}  // namespace weir::cni::bridge
