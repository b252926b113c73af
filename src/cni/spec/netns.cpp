#include "cni/spec/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>

namespace weir::cni {
namespace {

constexpr const char* own_netns = "/proc/thread-self/ns/net";

auto hex(unsigned long value) -> std::string {
  std::array<char, 16> digits{};
  const auto [end, ignored] = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return {digits.data(), end};
}

}  // namespace

auto open_netns(const std::string& path) -> Result<Fd> {
  struct statfs about {};
  if (::statfs(path.c_str(), &about) != 0) {
    return fail(text(
        {"failed to open netns ", in_quotes(path), ": failed to Statfs ", in_quotes(path), ": ", errno_words(errno)}));
  }
  // A namespace lies on nsfs, or on procfs where the kernel is older than 3.19.
  if (about.f_type != NSFS_MAGIC && about.f_type != PROC_SUPER_MAGIC) {
    return fail(text({"failed to open netns ", in_quotes(path), ": unknown FS magic on ", in_quotes(path), ": ",
                      hex(static_cast<unsigned long>(about.f_type))}));
  }
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(text({"failed to open netns ", in_quotes(path), ": open ", path, ": ", errno_words(errno)}));
  return fd;
}

auto is_own_netns(const std::string& path) -> bool { return is_same_netns(path, own_netns); }

auto is_same_netns(const std::string& one, const std::string& other) -> bool {
  struct stat a {};
  struct stat b {};
  if (::stat(one.c_str(), &a) != 0 || ::stat(other.c_str(), &b) != 0) return false;
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

auto InsideNetns::enter(const Fd& netns) -> Result<InsideNetns> {
  Fd home(::open(own_netns, O_RDONLY | O_CLOEXEC));
  if (!home) return fail(text({"open ", own_netns, ": ", errno_words(errno)}));
  if (::setns(netns.get(), CLONE_NEWNET) != 0) {
    return fail(text({"error switching to the container's network namespace: ", errno_words(errno)}));
  }
  return InsideNetns(std::move(home));
}

InsideNetns::~InsideNetns() {
  if (home_ && ::setns(home_.get(), CLONE_NEWNET) != 0) std::abort();
}

}  // namespace weir::cni
