#include "load_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include "load_arguments.h"

namespace weir::load {

namespace {

namespace fs = std::filesystem;

auto to_pid(std::string_view text) -> int {
  int pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc{} && end == text.data() + text.size() ? pid : -1;
}

auto cpu_of(int pid) -> std::uint64_t {
  std::uint64_t sum = 0;
  std::error_code gone;
  for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", pid), gone)) {
    std::ifstream file(task.path() / "schedstat");
    std::uint64_t on_cpu = 0;
    if (file >> on_cpu) sum += on_cpu;
  }
  return sum;
}

auto cpu_of(const std::vector<int>& pids) -> std::uint64_t {
  std::uint64_t sum = 0;
  for (const int pid : pids) sum += cpu_of(pid);
  return sum;
}

auto pss_of(int pid) -> std::uint64_t {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
  std::string word;
  std::uint64_t kib = 0;
  while (file >> word) {
    if (word == "Pss:" && file >> kib) return kib;
  }
  return 0;
}

// child -> parent, for every process there is. /proc/PID/stat: the parent is the second field after
// the command, which is in parentheses and may itself hold blanks and parentheses.
auto parents() -> std::map<int, int> {
  std::map<int, int> parent_of;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const int pid = to_pid(entry.path().filename().native());
    if (pid <= 0) continue;
    std::ifstream file(entry.path() / "stat");
    std::string line;
    std::getline(file, line);
    const auto command_end = line.rfind(')');
    if (command_end == std::string::npos) continue;
    std::istringstream rest(line.substr(command_end + 1));
    char state = 0;
    int parent = 0;
    if (rest >> state >> parent) parent_of.emplace(pid, parent);
  }
  return parent_of;
}

auto with_descendants(const std::vector<int>& roots, const std::map<int, int>& parent_of) -> std::vector<int> {
  std::vector<int> found = roots;
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const auto& [child, parent] : parent_of) {
      if (parent == found[i] && std::find(found.begin(), found.end(), child) == found.end()) found.push_back(child);
    }
  }
  return found;
}

auto self_cpu() -> std::uint64_t {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

Watch::Watch(const std::vector<std::string>& groups) {
  for (const auto& text : groups) {
    const auto equals = text.find('=');
    if (equals == std::string::npos) throw UsageError(fmt::format("--watch {}: expected NAME=PID[,PID...]", text));
    Group group;
    group.name = text.substr(0, equals);
    std::istringstream pids(text.substr(equals + 1));
    for (std::string pid; std::getline(pids, pid, ',');) {
      group.roots.push_back(to_pid(pid));
      if (group.roots.back() <= 0) throw UsageError(fmt::format("--watch {}: {} is no process number", text, pid));
    }
    groups_.push_back(std::move(group));
  }
}

auto Watch::read_ticks() -> Ticks {
  // cpu user nice system idle iowait irq softirq steal ...
  std::ifstream file("/proc/stat");
  std::string word;
  file >> word;
  std::uint64_t field[8] = {};
  for (auto& value : field) file >> value;
  Ticks ticks;
  ticks.busy = field[0] + field[1] + field[2] + field[5] + field[6];
  ticks.steal = field[7];
  ticks.all = ticks.busy + field[3] + field[4] + field[7];
  return ticks;
}

void Watch::begin() {
  const auto parent_of = parents();
  for (auto& group : groups_) group.processes = with_descendants(group.roots, parent_of);
  ticks_begin_ = read_ticks();
  self_begin_ = self_cpu();
  for (auto& group : groups_) group.cpu_begin = cpu_of(group.processes);
}

void Watch::end() {
  for (auto& group : groups_) group.cpu_end = cpu_of(group.processes);
  self_end_ = self_cpu();
  ticks_end_ = read_ticks();
  for (auto& group : groups_) {
    for (const int pid : group.processes) group.pss_kib += pss_of(pid);
  }
}

void Watch::add_to(Json& json) const {
  Json cpu;
  Json pss;
  for (const auto& group : groups_) {
    cpu.add(group.name, group.cpu_end > group.cpu_begin ? group.cpu_end - group.cpu_begin : 0);
    pss.add(group.name, group.pss_kib);
  }
  cpu.add("self", self_end_ - self_begin_);
  const auto all = ticks_end_.all - ticks_begin_.all;
  const auto nanos_per_tick = 1'000'000'000U / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  json.add("cpu_ns", cpu)
      .add("pss_kib", pss)
      .add("steal_share",
           all == 0 ? 0.0 : static_cast<double>(ticks_end_.steal - ticks_begin_.steal) / static_cast<double>(all))
      .add("busy_ns", (ticks_end_.busy - ticks_begin_.busy) * nanos_per_tick);
}

}  // namespace weir::load
