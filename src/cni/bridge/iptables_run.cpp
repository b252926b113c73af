// The programs behind iptables.h.
#include <unistd.h>

#include <cstdlib>

#include "cni/bridge/iptables.h"
#include "cni/bridge/names.h"

namespace weir::cni::bridge {
namespace {

constexpr int most_tries = 5;

auto program(Family family, std::string_view what) -> std::string {
  return text({family == Family::v4 ? "iptables-" : "ip6tables-", what});
}

auto start(Family family, std::string_view what, const std::vector<std::string>& options, std::string input)
    -> Result<Child> {
  const auto name = program(family, what);
  const auto path = find_program(name);
  if (!path) {
    return fail(text({"failed to locate iptables: exec: ", in_quotes(name), ": executable file not found in $PATH"}));
  }
  std::vector<std::string> words{name};
  words.insert(words.end(), options.begin(), options.end());
  return Child::start(*path, words, std::move(input));
}

auto complaint(Family family, std::string_view what, const Child::Outcome& outcome) -> Failure {
  std::string_view said = outcome.err;
  while (said.ends_with('\n')) said.remove_suffix(1);
  return fail(text({"running ", program(family, what), ": ", outcome.words(), ": ", said}));
}

auto restore(Family family, std::string input) -> Result<Child::Outcome> {
  auto child = start_restore(family, std::move(input));
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

auto start_restore(Family family, std::string input) -> Result<Child> {
  return start(family, "restore", {"--noflush", "--wait"}, std::move(input));
}

auto start_save(Family family) -> Result<Child> { return start(family, "save", {"-t", "nat"}, {}); }

auto read_nat(Family family) -> Result<NatTable> {
  auto child = start_save(family);
  if (!child) return Failure(child.error());
  const auto outcome = child->finish();
  if (!outcome.good()) return complaint(family, "save", outcome);
  return parse_nat(outcome.out);
}

auto finish_addition(Family family, const NatWish& wish, Child started) -> Result<void> {
  auto outcome = started.finish();
  // A chain that is there belongs to another interface of this container, or to one that was never deleted.
  // Others may change the table between our look and our change: then look again.
  for (int tries = 0; !outcome.good() && tries < most_tries; ++tries) {
    const auto now = read_nat(family);
    if (!now) return Failure(now.error());
    const bool there = now->has_chain(iptables_chain(wish.network, wish.container));
    const auto lines = there ? missing_nat_input(wish, *now) : std::string();
    if (there && lines.empty()) return {};
    auto again = restore(family, there ? text({"*nat\n", lines, "COMMIT\n"}) : first_nat_input(wish));
    if (!again) return Failure(again.error());
    outcome = std::move(*again);
  }
  if (!outcome.good()) return complaint(family, "restore", outcome);
  return {};
}

auto remove_nat(const std::vector<Family>& families, const Goes& goes) -> Result<void> {
  std::vector<std::pair<Family, Child>> saves;
  for (const auto family : families) {
    if (!has_iptables(family)) continue;
    auto child = start_save(family);
    if (!child) return Failure(child.error());
    saves.emplace_back(family, std::move(*child));
  }
  struct Change {
    Family family;
    Child restore;
  };
  std::vector<Change> changes;
  for (auto& [family, save] : saves) {
    const auto outcome = save.finish();
    // No nat table in this kernel, no rules in it.
    const auto input = outcome.good() ? removal_nat_input(parse_nat(outcome.out), goes) : std::string();
    if (input.empty()) continue;
    auto child = start_restore(family, input);
    if (!child) return Failure(child.error());
    changes.push_back({family, std::move(*child)});
  }
  Result<void> result;
  for (auto& change : changes) {
    auto outcome = change.restore.finish();
    for (int tries = 0; !outcome.good() && tries < most_tries; ++tries) {
      const auto now = read_nat(change.family);
      if (!now) return Failure(now.error());
      const auto input = removal_nat_input(*now, goes);
      if (input.empty()) break;
      auto again = restore(change.family, input);
      if (!again) return Failure(again.error());
      outcome = std::move(*again);
      if (!outcome.good()) result = complaint(change.family, "restore", outcome);
      if (outcome.good()) result = {};
    }
  }
  return result;
}

}  // namespace weir::cni::bridge
