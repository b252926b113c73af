#include "cni/bridge/host_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "cni/spec/error.h"

namespace weir::cni::bridge {

auto HostLock::take(std::string_view what) -> HostLock {
  const auto path = text({"/run/weir-cni.", what, ".lock"});
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  while (file && ::flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return {};
  }
  return HostLock(std::move(file));
}

}  // namespace weir::cni::bridge
