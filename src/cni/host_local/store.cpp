#include "cni/host_local/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "cni/host_local/boot.h"

namespace weir::cni::host_local {
namespace {

auto trimmed(std::string_view text) -> std::string_view {
  const auto blank = " \t\n\v\f\r";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

auto owner_text(const Attachment& owner) -> std::string { return text({owner.container_id, "\r\n", owner.ifname}); }

auto last_name(std::size_t set) -> std::string { return "last_reserved_ip." + std::to_string(set); }

auto make_folders(const std::string& path) -> Result<void> {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const auto part = path.substr(0, end);
    struct stat about {};
    int why = ::mkdir(part.c_str(), 0755) == 0 ? 0 : errno;
    if (why == EEXIST) why = ::stat(part.c_str(), &about) == 0 && S_ISDIR(about.st_mode) ? 0 : ENOTDIR;
    if (why != 0) return fail(text({"mkdir ", part, ": ", errno_words(why)}));
  }
  return {};
}

// Why the folder `path` cannot be opened. What stands in its place is named as by an ADD, which would make it.
auto what_bars(const std::string& path, int why) -> Failure {
  for (auto end = path.find('/', 1); why == ENOTDIR; end = path.find('/', end + 1)) {
    struct stat about {};
    const auto part = path.substr(0, end);
    if (::stat(part.c_str(), &about) == 0 && !S_ISDIR(about.st_mode)) {
      return fail(text({"mkdir ", part, ": ", errno_words(why)}));
    }
    if (end == std::string::npos) break;
  }
  return fail(text({"open ", path, ": ", errno_words(why)}));
}

// nullopt, and errno says why, if it cannot be read.
auto read_all(int folder, const std::string& name) -> std::optional<std::string> {
  const Fd file(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return std::nullopt;
  std::string out;
  std::array<char, 1024> buffer{};
  while (out.size() < 65536) {
    const auto n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return out;
}

// The address that a file is named by, if it is the name that the address would be given.
auto ip_named(const std::string& name) -> std::optional<Ip> {
  const auto ip = Ip::parse(name);
  return ip && ip->to_string() == name ? ip : std::nullopt;
}

}  // namespace

auto Store::open(const Options& options) -> Result<Store> {
  const auto path = text({options.data_dir, "/", options.network});
  Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) {
    if (auto made = make_folders(path); !made) return Failure(made.error());
    folder = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  if (!folder) return fail(text({"open ", path, ": ", errno_words(errno)}));
  return open_folder(options, std::move(folder));
}

auto Store::open_existing(const Options& options) -> Result<std::optional<Store>> {
  const auto path = text({options.data_dir, "/", options.network});
  Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder && errno == ENOENT) return std::optional<Store>{};
  // A lease in a folder that we cannot get at is not one that is gone.
  if (!folder) return what_bars(path, errno);
  auto store = open_folder(options, std::move(folder));
  if (!store) return Failure(store.error());
  return std::optional<Store>(std::move(*store));
}

auto Store::open_folder(const Options& options, Fd folder) -> Result<Store> {
  Store store;
  store.options_ = options;
  store.folder_ = std::move(folder);
  store.lock_ = Fd(::openat(store.folder_.get(), "lock", O_RDONLY | O_CREAT | O_CLOEXEC, 0750));
  if (!store.lock_) return fail(text({"open ", options.data_dir, "/", options.network, "/lock: ", errno_words(errno)}));
  while (::flock(store.lock_.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail(text({"lock ", options.data_dir, "/", options.network, ": ", errno_words(errno)}));
  }
  if (options.reclaim_after_reboot) store.stamp_ = this_boot_stamp();
  if (auto loaded = store.load_table(); !loaded) return Failure(loaded.error());
  return store;
}

Store::~Store() {
  if (!lock_ || !changed_) return;
  // A time that no clock will show when somebody else changes the folder: one second ago, and nanoseconds
  // by lot. The folder then proves that nobody did.
  struct timespec now {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::uint32_t lot = 0;
  (void)!::getrandom(&lot, sizeof(lot), GRND_NONBLOCK);
  const struct timespec then { .tv_sec = now.tv_sec - 1, .tv_nsec = static_cast<long>(lot % 1'000'000'000U) };
  const std::array<timespec, 2> times{timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, then};
  if (::futimens(folder_.get(), times.data()) != 0) return;
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
  struct stat about {};
  if (::fstat(folder_.get(), &about) != 0) return std::nullopt;
  const auto boot = this_boot_hash();
  if (!boot) return std::nullopt;
  return LeaseTable::Proof{.device = about.st_dev,
                           .inode = about.st_ino,
                           .seconds = about.st_mtim.tv_sec,
                           .nanoseconds = about.st_mtim.tv_nsec,
                           .changed_seconds = about.st_ctim.tv_sec,
                           .changed_nanoseconds = about.st_ctim.tv_nsec,
                           .boot = *boot,
                           .reclaimed = options_.reclaim_after_reboot ? 1U : 0U};
}

auto Store::load_table() -> Result<void> {
  const auto beside = options_.data_dir + "/.weir";
  table_ = LeaseTable::open(text({beside, "/", options_.network}));
  if (const auto* left = table_.proof(); left != nullptr) {
    auto now = current_proof();
    if (now && left->reclaimed > now->reclaimed) now->reclaimed = left->reclaimed;
    if (now && *left == *now) return {};
  } else if (::mkdir(beside.c_str(), 0700) == 0) {
    table_ = LeaseTable::open(text({beside, "/", options_.network}));
  }
  return rebuild();
}

auto Store::look_again() -> bool { return !rebuilt_ && rebuild(); }

auto Store::rebuild() -> Result<void> {
  const auto files = names();
  if (!files) return Failure(files.error());
  change();
  rebuilt_ = true;
  table_.clear();
  for (const auto& name : *files) {
    const auto ip = ip_named(name);
    if (!ip) continue;
    if (!stamp_.empty() && is_of_earlier_boot(folder_.get(), name, stamp_)) {
      ::unlinkat(folder_.get(), name.c_str(), 0);
      continue;
    }
    const auto text = content(name);
    if (text && !text->empty()) table_.add(*ip, *text);
  }
  return {};
}

auto Store::wrong(std::string_view what, std::string_view name) const -> Failure {
  const int why = errno;
  return fail(ErrorCode::io, text({what, " ", options_.data_dir, "/", options_.network, name.empty() ? "" : "/", name,
                                   ": ", errno_words(why)}));
}

auto Store::names() const -> Result<std::vector<std::string>> {
  std::vector<std::string> out;
  // A descriptor of its own: the directory's offset belongs to whoever reads it.
  const int fd = ::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(fd < 0 ? nullptr : ::fdopendir(fd), ::closedir);
  if (!folder) return wrong("open");
  while (true) {
    errno = 0;
    const auto* entry = ::readdir(folder.get());
    if (entry == nullptr && errno != 0) return wrong("read");
    if (entry == nullptr) return out;
    if (entry->d_name[0] != '.') out.emplace_back(entry->d_name);
  }
}

auto Store::content(const std::string& name) const -> std::optional<std::string> {
  const auto text = read_all(folder_.get(), name);
  if (!text) return std::nullopt;
  return std::string(trimmed(*text));
}

auto Store::owned_by(const std::string& owner) const -> std::vector<Ip> {
  std::vector<Ip> found;
  for (const auto& ip : table_.candidates(owner)) {
    if (content(ip.to_string()) == owner) found.push_back(ip);
  }
  return found;
}

auto Store::owner_of(const Ip& ip) const -> Attachment {
  const auto text = content(ip.to_string()).value_or("");
  const auto end = text.find("\r\n");
  if (end == std::string::npos) return {text, {}};
  return {text.substr(0, end), text.substr(end + 2)};
}

auto Store::last_reserved(std::size_t set) const -> std::optional<Ip> {
  const auto text = read_all(folder_.get(), last_name(set));
  return text ? Ip::parse(*text) : std::nullopt;
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
  const auto name = ip.to_string();
  const auto content = owner_text(owner);
  change();
  auto done = publish(name, content);
  if (done && !*done) {
    // Under the lock an empty file is what a killed process left. Anything else is a lease that we did not
    // know of; it is one from now on.
    struct stat about {};
    if (::fstatat(folder_.get(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 && about.st_size == 0) {
      ::unlinkat(folder_.get(), name.c_str(), 0);
      done = publish(name, content);
    }
  }
  if (!done || !*done) return done;
  table_.add(ip, content);
  // In place, as the reference does: readers hold the lock, and one that finds it empty begins at the start.
  const Fd last(::openat(folder_.get(), last_name(set).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!last || ::write(last.get(), name.data(), name.size()) != static_cast<ssize_t>(name.size())) {
    const int why = errno;
    release(ip, owner);
    return fail(
        text({"write ", options_.data_dir, "/", options_.network, "/", last_name(set), ": ", errno_words(why)}));
  }
  return true;
}

auto Store::publish(const std::string& name, const std::string& content) -> Result<bool> {
  const Fd file(::openat(folder_.get(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (!file && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) return publish_by_name(name, content);
  const auto wrong = [&](std::string_view what) {
    return fail(text({what, " ", options_.data_dir, "/", options_.network, "/", name, ": ", errno_words(errno)}));
  };
  if (!file) return wrong("open");
  if (::write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    return wrong("write");
  if (!stamp_.empty()) put_stamp(file.get(), stamp_);
  // AT_EMPTY_PATH wants CAP_DAC_READ_SEARCH; /proc wants to be mounted. One of them is there.
  if (::linkat(file.get(), "", folder_.get(), name.c_str(), AT_EMPTY_PATH) == 0) return true;
  if (errno == EEXIST) return false;
  const auto path = "/proc/self/fd/" + std::to_string(file.get());
  if (::linkat(AT_FDCWD, path.c_str(), folder_.get(), name.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  return wrong("link");
}

// For file systems without O_TMPFILE: the same through a name beside the table, which the next one reuses.
auto Store::publish_by_name(const std::string& name, const std::string& content) -> Result<bool> {
  const auto draft = text({options_.data_dir, "/.weir/.draft.", options_.network});
  const auto wrong = [&] { return fail(text({"write ", draft, ": ", errno_words(errno)})); };
  ::unlink(draft.c_str());
  const Fd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file || ::write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    return wrong();
  if (!stamp_.empty()) put_stamp(file.get(), stamp_);
  const int linked = ::linkat(AT_FDCWD, draft.c_str(), folder_.get(), name.c_str(), 0);
  const int why = errno;
  ::unlink(draft.c_str());
  errno = why;
  if (linked == 0) return true;
  if (why == EEXIST) return false;
  return wrong();
}

auto Store::remove(const std::string& name, const Ip& ip, const std::string& owner) -> Result<void> {
  change();
  if (::unlinkat(folder_.get(), name.c_str(), 0) != 0 && errno != ENOENT) return wrong("remove", name);
  table_.remove(ip, owner);
  return {};
}

auto Store::release(const Ip& ip, const Attachment& owner) -> void {
  const auto name = ip.to_string();
  if (content(name) == owner_text(owner)) (void)remove(name, ip, owner_text(owner));
}

auto Store::release_known(const Attachment& owner) -> bool {
  for (const auto& text : {owner_text(owner), owner.container_id}) {
    const auto found = owned_by(text);
    for (const auto& ip : found) (void)remove(ip.to_string(), ip, text);
    if (!found.empty()) return true;
  }
  return false;
}

auto Store::release(const Attachment& owner) -> void {
  if (release_known(owner)) return;
  if (look_again()) (void)release_known(owner);
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
  const auto files = names();
  if (!files) return Failure(files.error());
  Result<void> outcome;
  for (const auto& name : *files) {
    const auto ip = ip_named(name);
    if (!ip) continue;
    const auto owner = content(name);
    Result<void> done;
    if (!owner) {
      // Gone meanwhile, or a folder, which is nobody's lease.
      if (errno != ENOENT && errno != EISDIR) done = wrong("read", name);
    } else if (!std::binary_search(keep.begin(), keep.end(), *owner)) {
      done = remove(name, *ip, *owner);
    }
    if (!done && outcome) outcome = done;
  }
  return outcome;
}

}  // namespace weir::cni::host_local
