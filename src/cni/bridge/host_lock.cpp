#include "cni/bridge/host_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "cni/spec/error.h"

namespace weir::cni::bridge {

namespace {

auto lock(std::string_view what, int how) -> Fd {
  const auto path = text({"/run/weir-cni.", what, ".lock"});
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  while (file && ::flock(file.get(), how) != 0) {
    if (errno != EINTR) return {};
  }
  return file;
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
