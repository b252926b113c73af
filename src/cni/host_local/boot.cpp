#include "cni/host_local/boot.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "base/fd.h"
#include "cni/spec/first_line.h"

namespace weir::cni::host_local {
namespace {

constexpr const char* attribute = "user.weir.boot";

auto boot_id() -> std::string { return first_line("/proc/sys/kernel/random/boot_id"); }

}  // namespace

auto this_boot_hash() -> std::optional<std::uint64_t> {
  const auto id = boot_id();
  if (id.empty()) return std::nullopt;
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

auto this_boot_stamp() -> std::string {
  const auto machine = first_line("/etc/machine-id");
  const auto boot = boot_id();
  return machine.empty() || boot.empty() ? std::string() : machine + " " + boot;
}

auto put_stamp(int file, const std::string& stamp) -> void {
  // A file system without user attributes keeps the lease unstamped: it is then never reclaimed.
  (void)::fsetxattr(file, attribute, stamp.data(), stamp.size(), 0);
}

auto is_of_earlier_boot(int folder, const std::string& name, const std::string& stamp) -> bool {
  const Fd file(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!file) return false;
  std::array<char, 128> buffer{};
  const auto n = ::fgetxattr(file.get(), attribute, buffer.data(), buffer.size());
  if (n <= 0) return false;
  const std::string_view found(buffer.data(), static_cast<std::size_t>(n));
  const auto machine = stamp.substr(0, stamp.find(' ') + 1);
  return found.starts_with(machine) && found != stamp;
}

}  // namespace weir::cni::host_local
