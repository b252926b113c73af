#include "cni/host_local/store.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <utility>

#include "cni/host_local/boot.h"

namespace weir::cni::host_local {
namespace {

auto owner_text(const Attachment& owner) -> std::string { return text({owner.container_id, "\r\n", owner.ifname}); }

// Why a file with an address's name could not be read: it is gone meanwhile, or it is a folder or a link, which are
// nobody's leases, or larger than any.
auto is_no_lease(int why) -> bool { return why == ENOENT || why == EISDIR || why == ELOOP || why == EFBIG; }

}  // namespace

auto Store::open(const Options& options) -> Result<Store> {
  auto folder = LeaseFolder::open(options);
  if (!folder) return Failure(folder.error());
  return on(options, std::move(*folder));
}

auto Store::open_existing(const Options& options) -> Result<std::optional<Store>> {
  auto folder = LeaseFolder::open_existing(options);
  if (!folder) return Failure(folder.error());
  if (!*folder) return std::optional<Store>{};
  return on(options, std::move(**folder));
}

auto Store::on(const Options& options, LeaseFolder folder) -> Result<Store> {
  Store store;
  store.options_ = options;
  store.folder_ = std::move(folder);
  if (auto loaded = store.load_table(); !loaded) return Failure(loaded.error());
  return store;
}

Store::~Store() {
  if (!folder_.is_open() || !changed_) return;
  // A time that no clock will show when somebody else changes the folder: one second ago, and nanoseconds
  // by lot. The folder then proves that nobody did.
  struct timespec now {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::uint32_t lot = 0;
  (void)!::getrandom(&lot, sizeof(lot), GRND_NONBLOCK);
  const struct timespec then { .tv_sec = now.tv_sec - 1, .tv_nsec = static_cast<long>(lot % 1'000'000'000U) };
  if (!folder_.set_modified(then)) return;
  const auto proof = current_proof();
  // A file system that keeps coarser times proves nothing.
  if (!proof || proof->seconds != then.tv_sec || proof->nanoseconds != then.tv_nsec) return;
  table_.prove(*proof);
}

auto Store::change() -> void {
  changed_ = true;
  table_.spoil();
}

auto Store::current_proof() const -> std::optional<LeaseTable::Proof> {
  const auto about = folder_.about();
  if (!about) return std::nullopt;
  const auto boot = this_boot_hash();
  if (!boot) return std::nullopt;
  return LeaseTable::Proof{.device = about->st_dev,
                           .inode = about->st_ino,
                           .seconds = about->st_mtim.tv_sec,
                           .nanoseconds = about->st_mtim.tv_nsec,
                           .changed_seconds = about->st_ctim.tv_sec,
                           .changed_nanoseconds = about->st_ctim.tv_nsec,
                           .boot = *boot,
                           .reclaimed = options_.reclaim_after_reboot ? 1U : 0U};
}

auto Store::load_table() -> Result<void> {
  const auto beside = folder_.beside();
  if (beside) table_ = LeaseTable::open(beside.get(), options_.network);
  if (const auto* left = table_.proof(); left != nullptr) {
    auto now = current_proof();
    if (now && left->reclaimed > now->reclaimed) now->reclaimed = left->reclaimed;
    if (now && *left == *now) return {};  // mutant: lease-table-always-trusted
  } else if (const auto made = beside ? Fd() : folder_.make_beside(); made) {
    table_ = LeaseTable::open(made.get(), options_.network);
  }
  return rebuild();
}

auto Store::rebuild() -> Result<void> {
  const auto addresses = folder_.addresses();
  if (!addresses) return Failure(addresses.error());
  change();
  rebuilt_ = true;
  table_.clear();
  for (const auto& ip : *addresses) {
    if (folder_.is_of_earlier_boot(ip)) {
      (void)folder_.remove(ip);
      continue;
    }
    const auto text = folder_.owner_text(ip);
    if (text && !text->empty()) table_.add(ip, *text);
    if (!text && !is_no_lease(errno) && !unread_) unread_ = folder_.wrong("read", ip.to_string()).value();
  }
  return {};
}

auto Store::look_again() -> bool { return !rebuilt_ && rebuild(); }

auto Store::owned_by(const std::string& owner) const -> std::vector<Ip> {
  std::vector<Ip> found;
  for (const auto& ip : table_.candidates(owner)) {
    if (folder_.owner_text(ip) == owner) found.push_back(ip);
  }
  return found;
}

auto Store::own_leases_of(const Attachment& owner) const -> std::vector<Ip> { return owned_by(owner_text(owner)); }

auto Store::owner_of(const Ip& ip) const -> Attachment {
  const auto text = folder_.owner_text(ip).value_or("");
  const auto end = text.find("\r\n");
  if (end == std::string::npos) return {text, {}};
  return {text.substr(0, end), text.substr(end + 2)};
}

auto Store::leases_of(const Attachment& owner) const -> std::vector<Ip> {
  auto found = owned_by(owner_text(owner));
  const auto older = owned_by(owner.container_id);
  found.insert(found.end(), older.begin(), older.end());
  std::sort(found.begin(), found.end(), [](const Ip& a, const Ip& b) { return a.to_string() < b.to_string(); });
  return found;
}

auto Store::reserve(const Ip& ip, const Attachment& owner, std::size_t set) -> Result<bool> {
  if (table_.is_leased(ip)) return false;
  const auto content = owner_text(owner);
  change();
  auto done = folder_.publish(ip, content);
  // Under the lock an empty file is what a killed process left. Anything else is a lease that we did not know of; it
  // is one from now on.
  if (done && !*done && folder_.is_empty(ip)) {
    (void)folder_.remove(ip);
    done = folder_.publish(ip, content);
  }
  if (!done || !*done) return done;
  table_.add(ip, content);
  if (auto noted = folder_.set_last_reserved(set, ip); !noted) {
    (void)release(ip, owner);  // it was made this moment, in the same folder
    return Failure(noted.error());
  }
  return true;
}

auto Store::remove(const Ip& ip, const std::string& owner) -> Result<void> {
  change();
  if (auto removed = folder_.remove(ip); !removed) return removed;
  table_.remove(ip, owner);
  return {};
}

auto Store::release(const Ip& ip, const Attachment& owner) -> Result<void> {
  if (folder_.owner_text(ip) != owner_text(owner)) return {};
  return remove(ip, owner_text(owner));
}

// Goes on after an error, and returns the first; else whether there was any.
auto Store::release_known(const std::string& owner) -> Result<bool> {
  std::optional<Error> first;
  bool any = false;
  for (const auto& ip : table_.candidates(owner)) {
    const auto said = folder_.owner_text(ip);
    Result<void> done;
    if (!said && !is_no_lease(errno)) done = folder_.wrong("read", ip.to_string());
    if (said == owner) {
      any = true;
      done = remove(ip, owner);
    }
    if (!done && !first) first = done.error();
  }
  if (first) return Failure(*first);
  return any;
}

auto Store::release_known(const Attachment& owner) -> Result<bool> {
  auto own = release_known(owner_text(owner));
  if (!own || *own) return own;
  return release_known(owner.container_id);
}

auto Store::release(const Attachment& owner) -> Result<void> {
  auto known = release_known(owner);
  if (known && !*known && look_again()) known = release_known(owner);  // mutant: lease-written-over-stays
  if (!known) return Failure(known.error());
  // It may be this attachment's.
  if (!*known && unread_) return Failure(*unread_);
  return {};
}

auto Store::release_own(const Attachment& owner) -> Result<void> {
  const auto known = release_known(owner_text(owner));
  if (!known) return Failure(known.error());
  return {};
}

auto Store::has_lease(const Attachment& owner) -> bool {
  if (!leases_of(owner).empty()) return true;
  return look_again() && !leases_of(owner).empty();
}

auto Store::release_all_but(const std::vector<Attachment>& valid) -> Result<void> {
  std::vector<std::string> keep;
  for (const auto& each : valid) {
    keep.push_back(owner_text(each));
    keep.push_back(each.container_id);
  }
  std::sort(keep.begin(), keep.end());
  const auto addresses = folder_.addresses();
  if (!addresses) return Failure(addresses.error());
  Result<void> outcome;
  for (const auto& ip : *addresses) {
    const auto owner = folder_.owner_text(ip);
    Result<void> done;
    if (!owner) {
      if (!is_no_lease(errno)) done = folder_.wrong("read", ip.to_string());
    } else if (!std::binary_search(keep.begin(), keep.end(), *owner)) {  // mutant: gc-of-every-lease
      done = remove(ip, *owner);
    }
    if (!done && outcome) outcome = done;
  }
  return outcome;
}

}  // namespace weir::cni::host_local
