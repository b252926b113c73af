#include "engine/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "fault/byte_budget.h"

namespace weir::engine {
namespace {

auto content_of(const std::filesystem::path& path) -> std::string {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// This file of our own control group and of each above it, where there is one.
auto cgroup_files(std::string_view name) -> std::vector<std::string> {
  std::istringstream groups(content_of("/proc/self/cgroup"));
  std::string line;
  std::filesystem::path group;
  while (std::getline(groups, line)) {
    if (line.starts_with("0::/")) group = std::filesystem::path("/sys/fs/cgroup") / line.substr(4);
  }
  std::vector<std::string> contents;
  for (; group.string().starts_with("/sys/fs/cgroup"); group = group.parent_path()) {
    contents.push_back(content_of(group / name));
  }
  return contents;
}

// 0: there is no quota.
auto cgroup_cores() -> double {
  double least = 0;
  for (const auto& content : cgroup_files("cpu.max")) {
    const double cores = cores_of_cpu_max(content);
    if (cores > 0 && (least <= 0 || cores < least)) least = cores;
  }
  return least;
}

}  // namespace

auto cores_of_cpu_max(std::string_view content) -> double {
  std::istringstream text{std::string(content)};
  double quota = 0;
  double period = 0;
  if (!(text >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return quota / period;
}

auto usable_cores() -> unsigned {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int counted = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  auto cores = static_cast<unsigned>(std::max(counted, 1));
  const double quota = cgroup_cores();
  if (quota > 0) cores = std::min(cores, static_cast<unsigned>(std::ceil(quota)));
  return std::max(cores, 1u);
}

auto bytes_of_memory_max(std::string_view content) -> std::optional<std::uint64_t> {
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(content.data(), content.data() + content.size(), bytes);
  if (error != std::errc{}) return std::nullopt;
  return bytes;
}

auto usable_memory() -> std::uint64_t {
  std::uint64_t least =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  for (const auto& content : cgroup_files("memory.max"))
    least = std::min(least, bytes_of_memory_max(content).value_or(least));
  rlimit own{};
  if (::getrlimit(RLIMIT_AS, &own) == 0 && own.rlim_cur != RLIM_INFINITY)
    least = std::min<std::uint64_t>(least, own.rlim_cur);
  return least;
}

auto default_fault_bytes() -> std::uint64_t { return std::min(fault::ByteBudget::default_limit, usable_memory() / 4); }

}  // namespace weir::engine
