#include "net/socket_owner.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

#include "base/fd.h"

namespace weir::net {
namespace {

constexpr std::size_t most_recent = 16;

// Calls `each` with the entries of a folder that are numbers, until it returns false.
template <class Each>
void each_number(const std::string& folder, Each each) {
  struct Close {
    void operator()(DIR* open) const { ::closedir(open); }
  };
  const std::unique_ptr<DIR, Close> open(::opendir(folder.c_str()));
  if (!open) return;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string_view name = static_cast<const char*>(entry->d_name);
    std::uint32_t number = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
    if (parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size() && !each(number)) return;
  }
}

// The first line of a small file; empty: it cannot be read.
auto line_of(const std::string& path) -> std::string {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> text{};
  const ssize_t got = file ? ::read(file.get(), text.data(), text.size()) : -1;
  return got > 0 ? std::string(text.data(), static_cast<std::size_t>(got)) : std::string();
}

// schedstat: "time on a CPU, time waiting for one, times it ran", in nanoseconds.
auto cpu_wait_of(const std::string& path) -> Nanos {
  const std::string line = line_of(path);
  const std::size_t begin = line.find(' ');
  std::int64_t waited = 0;
  if (begin != std::string::npos) std::from_chars(line.data() + begin + 1, line.data() + line.size(), waited);
  return Nanos{waited};
}

// Has the process this socket? Each descriptor that is looked at takes one from the budget.
auto has(std::uint32_t pid, std::uint32_t inode, std::size_t& budget) -> bool {
  const std::string wanted = fmt::format("socket:[{}]", inode);
  const std::string folder = fmt::format("/proc/{}/fd", pid);
  bool found = false;
  each_number(folder, [&](std::uint32_t fd) {
    if (budget == 0) return false;
    --budget;
    std::array<char, 64> link{};
    const ssize_t length = ::readlink(fmt::format("{}/{}", folder, fd).c_str(), link.data(), link.size());
    found = length > 0 && std::string_view(link.data(), static_cast<std::size_t>(length)) == wanted;
    return !found;
  });
  return found;
}

}  // namespace

auto SocketOwners::find(std::uint32_t inode, MonoTime now) -> std::optional<ProcessState> {
  if (inode == 0) return std::nullopt;
  const auto pid = pid_of(inode, now);
  if (!pid) return std::nullopt;
  auto state = state_of(*pid);
  if (!state) known_.erase(inode);
  return state;
}

auto SocketOwners::pid_of(std::uint32_t inode, MonoTime now) -> std::optional<std::uint32_t> {
  if (const auto found = known_.find(inode); found != known_.end()) return found->second;
  std::optional<std::uint32_t> owner;
  std::size_t budget = most_descriptors;
  // A server's connections are of the same process, or of one of its workers.
  for (const std::uint32_t pid : recent_) {
    if (has(pid, inode, budget)) owner = pid;
    if (owner) break;
  }
  if (!owner && (!scanned_ || now - *scanned_ >= between_scans)) {
    scanned_ = now;
    const std::uint32_t from = std::exchange(scanned_to_, 0);
    each_number("/proc", [&](std::uint32_t pid) {  // in the order of their numbers
      if (pid < from) return true;
      if (has(pid, inode, budget)) owner = pid;
      if (budget == 0) scanned_to_ = pid + 1;
      return !owner && budget > 0;
    });
  }
  if (!owner) return std::nullopt;
  if (known_.size() >= most_known) known_.clear();
  known_[inode] = *owner;
  std::erase(recent_, *owner);
  recent_.insert(recent_.begin(), *owner);
  if (recent_.size() > most_recent) recent_.pop_back();
  return owner;
}

auto SocketOwners::state_of(std::uint32_t pid) -> std::optional<ProcessState> {
  const std::string folder = fmt::format("/proc/{}", pid);
  const std::string stat = line_of(folder + "/stat");  // "pid (name) state ...", and the name may hold anything
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat.size()) return std::nullopt;
  ProcessState state{.pid = pid, .state = stat[name_end + 2]};
  each_number(folder + "/task", [&](std::uint32_t thread) {
    state.cpu_wait = std::max(state.cpu_wait, cpu_wait_of(fmt::format("{}/task/{}/schedstat", folder, thread)));
    return ++state.threads < most_threads;
  });
  return state;
}

}  // namespace weir::net
