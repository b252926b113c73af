// The programs behind iptables.h.
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "cni/bridge/host_lock.h"
#include "cni/bridge/iptables.h"
#include "cni/bridge/names.h"
#include "cni/bridge/ports.h"
#include "cni/kernel/nft.h"

namespace weir::cni::bridge {
namespace {

constexpr int most_tries = 5;

auto program(Family family, std::string_view what) -> std::string {
  return text({family == Family::v4 ? "iptables-" : "ip6tables-", what});
}

auto start(Family family, std::string_view what, const std::vector<std::string>& options, std::string input,
           int inherited) -> Result<Child> {
  const auto name = program(family, what);
  const auto path = find_program(name);
  if (!path) {
    return fail(text({"failed to locate iptables: exec: ", in_quotes(name), ": executable file not found in $PATH"}));
  }
  std::vector<std::string> words{name};
  words.insert(words.end(), options.begin(), options.end());
  return Child::start(*path, words, std::move(input), {}, inherited);
}

auto complaint(Family family, std::string_view what, const Child::Outcome& outcome) -> Failure {
  std::string_view said = outcome.err;
  while (said.ends_with('\n')) said.remove_suffix(1);
  return fail(text({"running ", program(family, what), ": ", outcome.words(), ": ", said}));
}

// A socket that hears of every transaction; without one the lock is held longer, and that is all.
auto listen_for_commits() -> std::optional<NetlinkSocket> {
  auto socket = open_filter_socket();
  if (!socket) return std::nullopt;
  const int group = NFNLGRP_NFTABLES;
  if (::setsockopt(socket->fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) return std::nullopt;
  return std::move(*socket);
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
  return start(family, "restore", {"--noflush", "--wait"}, std::move(input), lock.fd());
}

auto start_save(Family family) -> Result<Child> { return start(family, "save", {"-t", "nat"}, {}, -1); }

auto read_nat(Family family) -> Result<NatTable> {
  auto child = start_save(family);
  if (!child) return Failure(child.error());
  const auto outcome = child->finish();
  if (!outcome.good()) return complaint(family, "save", outcome);
  return parse_nat(outcome.out);
}

auto finish_addition(Family family, const NatWish& wish, Child started, const HostLock& lock) -> Result<void> {
  auto outcome = started.finish();
  // A chain that is there belongs to another interface of this container, or to one that was never deleted.
  // Others may change the table between our look and our change: then look again.
  for (int tries = 0; !outcome.good() && tries < most_tries; ++tries) {
    const auto now = read_nat(family);
    if (!now) return Failure(now.error());
    const bool there = now->has_chain(iptables_chain(wish.network, wish.container));
    const auto lines = there ? missing_nat_input(wish, *now) : std::string();
    if (there && lines.empty()) return {};
    auto again = restore(family, there ? text({"*nat\n", lines, "COMMIT\n"}) : first_nat_input(wish), lock);
    if (!again) return Failure(again.error());
    outcome = std::move(*again);
  }
  if (!outcome.good()) return complaint(family, "restore", outcome);
  return {};
}

auto RemovingNat::start(const std::vector<Family>& families) -> Result<RemovingNat> {
  RemovingNat removing;
  // What a killed ADD's program may still add has to be there before we look.
  if (!families.empty()) HostLock::wait_for("nat");
  for (const auto family : families) {
    if (!has_iptables(family)) continue;
    auto child = start_save(family);
    if (!child) return Failure(child.error());
    removing.saves_.push_back({family, std::move(*child)});
  }
  return removing;
}

auto RemovingNat::change(Goes goes) -> Result<void> {
  goes_ = std::move(goes);
  for (auto& [family, save] : saves_) {
    const auto outcome = save.finish();
    // No nat table in this kernel, no rules in it.
    const auto input = outcome.good() ? removal_nat_input(parse_nat(outcome.out), goes_) : std::string();
    if (input.empty()) continue;
    if (restores_.empty()) {
      lock_ = HostLock::take("nat");
      commits_ = listen_for_commits();
    }
    auto child = start_restore(family, input, lock_);
    if (!child) return Failure(child.error());
    restores_.push_back({family, std::move(*child)});
  }
  saves_.clear();
  return {};
}

// Waits until each restore has ended or its changes have taken effect. What it does after that is to wait
// some 15 ms for the memory of what it deleted, and then the next in line may as well begin: sixteen
// deletions at once took 0.5 s when each held the lock to its end.
auto RemovingNat::wait_for_commits() -> void {
  if (!commits_) return;
  for (const auto& [family, restore] : restores_) {
    const Fd ended(static_cast<int>(::syscall(SYS_pidfd_open, restore.pid(), 0)));
    if (!ended || !restore.is_fed()) return;
    std::array<pollfd, 2> watched{pollfd{ended.get(), POLLIN, 0}, pollfd{commits_->fd(), POLLIN, 0}};
    while (watched[0].revents == 0) {
      if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
      if (watched[1].revents != 0 && nft::has_commit_of(*commits_, restore.pid())) break;
    }
  }
}

auto RemovingNat::settle() -> void {
  // With both families' programs running, the first one's news may be read while the second is awaited: it
  // is then held to its end.
  wait_for_commits();
  lock_.release();
}

auto RemovingNat::finish() -> Result<void> {
  Result<void> result;
  for (auto& [family, restore_child] : restores_) {
    auto outcome = restore_child.finish();
    for (int tries = 0; !outcome.good() && tries < most_tries; ++tries) {
      const auto now = read_nat(family);
      if (!now) return Failure(now.error());
      const auto input = removal_nat_input(*now, goes_);
      if (input.empty()) break;
      auto again = restore(family, input, HostLock::take("nat"));
      if (!again) return Failure(again.error());
      outcome = std::move(*again);
      if (!outcome.good()) result = complaint(family, "restore", outcome);
      if (outcome.good()) result = {};
    }
  }
  restores_.clear();
  return result;
}

}  // namespace weir::cni::bridge
