#include "engine/usable_cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace weir::engine {
namespace {

auto content_of(const std::filesystem::path& path) -> std::string {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The quota of our own group or of one above it, whichever is smallest; 0: none.
auto cgroup_cores() -> double {
  std::istringstream groups(content_of("/proc/self/cgroup"));
  std::string line;
  std::filesystem::path group;
  while (std::getline(groups, line)) {
    if (line.starts_with("0::/")) group = std::filesystem::path("/sys/fs/cgroup") / line.substr(4);
  }
  double least = 0;
  while (group.string().starts_with("/sys/fs/cgroup")) {
    const double cores = cores_of_cpu_max(content_of(group / "cpu.max"));
    if (cores > 0 && (least <= 0 || cores < least)) least = cores;
    group = group.parent_path();
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

}  // namespace weir::engine
