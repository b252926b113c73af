#include "cni/host_local/namespace_stamp.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <string_view>

#include "base/fd.h"
#include "cni/host_local/boot.h"
#include "cni/spec/netns.h"

namespace weir::cni::host_local {
namespace {

constexpr const char* attribute = "user.weir.netns";
constexpr int netns_cookie = 71;  // asm-generic/socket.h, SO_NETNS_COOKIE

// "<boot> <cookie>", and the path behind it.
struct Parts {
  std::string_view identity;
  std::string_view path;
};
auto parts_of(std::string_view stamp) -> Parts {
  const auto first = stamp.find(' ');
  const auto second = first == std::string_view::npos ? first : stamp.find(' ', first + 1);
  if (second == std::string_view::npos) return {};
  return {stamp.substr(0, second), stamp.substr(second + 1)};
}

}  // namespace

auto namespace_stamp(const std::string& path) -> std::string {
  const auto boot = this_boot_hash();
  if (path.empty() || !boot) return {};
  const auto netns = open_netns(path);
  if (!netns) return {};
  const auto inside = InsideNetns::enter(*netns);
  if (!inside) return {};
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (!socket || ::getsockopt(socket.get(), SOL_SOCKET, netns_cookie, &cookie, &size) != 0) return {};
  return text({std::to_string(*boot), " ", std::to_string(cookie), " ", path});
}

auto put_namespace_stamp(int file, const std::string& stamp) -> void {
  // A file system without user attributes keeps the lease without: its namespace is then never known to be gone.
  if (!stamp.empty()) (void)::fsetxattr(file, attribute, stamp.data(), stamp.size(), 0);
}

auto namespace_stamp_of(int folder, const std::string& name) -> std::string {
  const Fd file(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  std::array<char, PATH_MAX + 64> buffer{};
  const auto n = file ? ::fgetxattr(file.get(), attribute, buffer.data(), buffer.size()) : -1;
  return n <= 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(n));
}

auto is_namespace_gone(const std::string& stamp, const std::string& now) -> bool {
  const auto [identity, path] = parts_of(stamp);
  const auto boot = this_boot_hash();
  if (identity.empty() || now.empty() || !boot || parts_of(now).identity == identity) return false;
  if (!identity.starts_with(std::to_string(*boot) + " ")) return true;  // nothing outlives a boot
  struct stat about {};
  const std::string where(path);
  if (::stat(where.c_str(), &about) != 0) return errno == ENOENT || errno == ENOTDIR;
  const auto there = namespace_stamp(where);
  // A file that `ip netns` has left where a namespace was mounted is none.
  return there.empty() ? !open_netns(where).has_value() : parts_of(there).identity != identity;
}

}  // namespace weir::cni::host_local
