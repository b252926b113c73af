#include "cni/bridge/host_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/spec/error.h"
#include "cni/spec/waits.h"

namespace weir::cni::bridge {

namespace {

// Only `flags` say whether it is made. Nobody but root can put anything in its place; what is there all the same is
// not waited for, and a FIFO has no other end to wait for either.
auto lock(std::string_view what, int how, int flags) -> Fd {
  const auto path = text({"/run/weir-cni.", what, ".lock"});
  Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600));
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) return {};
  if (about.st_uid != 0 && about.st_uid != ::geteuid()) return {};
  return lock_within(file.get(), how, longest_lock_wait_s) ? std::move(file) : Fd();
}

}  // namespace

auto HostLock::operator=(HostLock&& other) noexcept -> HostLock& {
  if (this != &other) {
    release();
    file_ = std::move(other.file_);
  }
  return *this;
}

auto HostLock::take(std::string_view what) -> HostLock { return HostLock(lock(what, LOCK_EX, O_CREAT)); }

auto HostLock::wait_for(std::string_view what) -> void { (void)lock(what, LOCK_SH, 0); }

auto HostLock::release() -> void {
  if (file_) (void)::flock(file_.get(), LOCK_UN);
  file_.reset();
}

}  // namespace weir::cni::bridge
