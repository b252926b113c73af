// The programs behind iptables.h.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/fd.h"
#include "cni/bridge/host_lock.h"
#include "cni/bridge/iptables.h"
#include "cni/bridge/names.h"
#include "cni/spec/waits.h"

namespace weir::cni::bridge {
namespace {

constexpr int most_runs = 5;

auto program(Family family, std::string_view what) -> std::string {
  return text({family == Family::v4 ? "iptables-" : "ip6tables-", what});
}

auto start(const std::string& name, const std::vector<std::string>& options, std::string input, int inherited)
    -> Result<Child> {
  const auto path = find_program(name);
  if (!path) {
    return fail(text({"failed to locate iptables: exec: ", in_quotes(name), ": executable file not found in $PATH"}));
  }
  std::vector<std::string> words{name};
  words.insert(words.end(), options.begin(), options.end());
  return Child::start(*path, words, std::move(input), longest_iptables_s, {}, inherited);
}

auto start_restore_by(const std::string& name, std::string input, const HostLock& lock) -> Result<Child> {
  return start(name, {"--noflush", "--wait"}, std::move(input), lock.fd());
}

auto complaint(const std::string& name, const Child::Outcome& outcome) -> Failure {
  std::string_view said = outcome.err;
  while (said.ends_with('\n')) said.remove_suffix(1);
  const auto code = outcome.timed_out ? ErrorCode::try_again : ErrorCode::internal;
  return fail(code, text({"running ", name, ": ", outcome.words(), said.empty() ? "" : ": ", said}));
}

auto read_nat_by(const std::string& name) -> Result<NatTable> {
  auto child = start(name, {"-t", "nat"}, {}, -1);
  if (!child) return Failure(child.error());
  const auto outcome = child->finish();
  if (!outcome.good()) return complaint(name, outcome);
  return parse_nat(outcome.out);
}

auto restore(Family family, std::string input, const HostLock& lock) -> Result<Child::Outcome> {
  auto child = start_restore(family, std::move(input), lock);
  if (!child) return Failure(child.error());
  return child->finish();
}

}  // namespace

auto find_program(std::string_view name) -> std::optional<std::string> {
  const char* variable = std::getenv("PATH");
  const std::string folders = text({variable == nullptr ? "" : variable, ":/usr/sbin:/sbin"});
  std::string_view rest = folders;
  while (true) {
    const auto folder = rest.substr(0, rest.find(':'));
    if (!folder.empty()) {
      auto path = text({folder, "/", name});
      if (::access(path.c_str(), X_OK) == 0) return path;
    }
    if (folder.size() == rest.size()) return std::nullopt;
    rest.remove_prefix(folder.size() + 1);
  }
}

auto has_iptables(Family family) -> bool { return find_program(program(family, "restore")).has_value(); }

auto start_restore(Family family, std::string input, const HostLock& lock) -> Result<Child> {
  return start_restore_by(program(family, "restore"), std::move(input), lock);
}

auto read_nat(Family family) -> Result<NatTable> { return read_nat_by(program(family, "save")); }

auto finish_addition(Family family, const NatWish& wish, Child started, const HostLock& lock) -> Result<void> {
  auto outcome = started.finish();
  // A chain that is there belongs to another interface of this container, or to one that was never deleted.
  // Others may change the table between our look and our change: then look again.
  for (int tries = 0; !outcome.good() && !outcome.timed_out && tries < most_runs; ++tries) {
    const auto now = read_nat(family);
    if (!now) break;  // whatever is wrong is wrong with all of iptables: the first complaint says it
    const bool there = now->has_chain(iptables_chain(wish.network, wish.container));
    const auto lines = there ? missing_nat_input(wish, *now) : std::string();
    if (there && lines.empty()) return {};
    auto again = restore(family, there ? text({"*nat\n", lines, "COMMIT\n"}) : first_nat_input(wish), lock);
    if (!again) return Failure(again.error());
    outcome = std::move(*again);
  }
  if (!outcome.good()) return complaint(program(family, "restore"), outcome);
  return {};
}

namespace {

// Whether x_tables holds a nat table in this network namespace. Both kinds may be there at once.
auto has_legacy_table(Family family) -> bool {
  const Fd file(
      ::open(family == Family::v4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names", O_RDONLY | O_CLOEXEC));
  std::array<char, 256> buffer{};
  const auto n = file ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
  const auto names = text({"\n", std::string_view(buffer.data(), n < 0 ? 0 : static_cast<std::size_t>(n))});
  return names.find("\nnat\n") != std::string::npos;
}

// The programs that change x_tables: under their own name where a host has both kinds.
auto legacy_program(Family family, std::string_view what) -> std::string {
  const auto name = program(family, text({"legacy-", what}));
  return find_program(name) ? name : program(family, what);
}

}  // namespace

auto read_legacy_table(Family family) -> Result<NatTable> {
  const auto name = legacy_program(family, "save");
  if (!has_legacy_table(family) || !find_program(name)) return NatTable{};
  return read_nat_by(name);
}

namespace {

auto remove_from_legacy_table(Family family, const Goes& goes) -> Result<bool> {
  Result<bool> result;
  for (int tries = 0; tries < most_runs; ++tries) {
    const auto now = read_legacy_table(family);
    if (!now) return Failure(now.error());
    const auto input = removal_nat_input(*now, goes);
    if (input.empty()) return false;
    const auto name = legacy_program(family, "restore");
    const auto lock = HostLock::take("nat");
    auto child = start_restore_by(name, input, lock);
    if (!child) return Failure(child.error());
    const auto outcome = child->finish();
    if (outcome.good()) return true;
    result = complaint(name, outcome);
    if (outcome.timed_out) break;
  }
  return result;
}

}  // namespace

auto remove_from_legacy_tables(const std::vector<Family>& families, const Goes& goes) -> Result<bool> {
  bool any = false;
  for (const auto family : families) {
    auto removed = remove_from_legacy_table(family, goes);
    if (!removed) return removed;
    any = any || *removed;
  }
  return any;
}

}  // namespace weir::cni::bridge
