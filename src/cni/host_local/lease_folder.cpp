#include "cni/host_local/lease_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include "cni/host_local/boot.h"

namespace weir::cni::host_local {
namespace {

auto trimmed(std::string_view text) -> std::string_view {
  const auto blank = " \t\n\v\f\r";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

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

auto LeaseFolder::open(const Options& options) -> Result<LeaseFolder> {
  const auto path = text({options.data_dir, "/", options.network});
  Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) {
    if (auto made = make_folders(path); !made) return Failure(made.error());
    folder = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  if (!folder) return fail(text({"open ", path, ": ", errno_words(errno)}));
  return locked(options, std::move(folder));
}

auto LeaseFolder::open_existing(const Options& options) -> Result<std::optional<LeaseFolder>> {
  const auto path = text({options.data_dir, "/", options.network});
  Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder && errno == ENOENT) return std::optional<LeaseFolder>{};
  // A lease in a folder that we cannot get at is not one that is gone.
  if (!folder) return what_bars(path, errno);
  return locked(options, std::move(folder));
}

auto LeaseFolder::locked(const Options& options, Fd folder) -> Result<LeaseFolder> {
  LeaseFolder out;
  out.options_ = options;
  out.folder_ = std::move(folder);
  out.lock_ = Fd(::openat(out.folder_.get(), "lock", O_RDONLY | O_CREAT | O_CLOEXEC, 0750));
  if (!out.lock_) return fail(text({"open ", options.data_dir, "/", options.network, "/lock: ", errno_words(errno)}));
  while (::flock(out.lock_.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail(text({"lock ", options.data_dir, "/", options.network, ": ", errno_words(errno)}));
  }
  if (options.reclaim_after_reboot) out.stamp_ = this_boot_stamp();
  return out;
}

auto LeaseFolder::addresses() const -> Result<std::vector<Ip>> {
  std::vector<Ip> out;
  // A descriptor of its own: the directory's offset belongs to whoever reads it.
  const int fd = ::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(fd < 0 ? nullptr : ::fdopendir(fd), ::closedir);
  if (!folder) return wrong("open");
  while (true) {
    errno = 0;
    const auto* entry = ::readdir(folder.get());
    if (entry == nullptr && errno != 0) return wrong("read");
    if (entry == nullptr) return out;
    if (const auto ip = ip_named(entry->d_name)) out.push_back(*ip);
  }
}

auto LeaseFolder::owner_text(const Ip& ip) const -> std::optional<std::string> {
  const auto text = read_all(folder_.get(), ip.to_string());
  if (!text) return std::nullopt;
  return std::string(trimmed(*text));
}

auto LeaseFolder::is_empty(const Ip& ip) const -> bool {
  struct stat about {};
  return ::fstatat(folder_.get(), ip.to_string().c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 && about.st_size == 0;
}

auto LeaseFolder::is_of_earlier_boot(const Ip& ip) const -> bool {
  return !stamp_.empty() && host_local::is_of_earlier_boot(folder_.get(), ip.to_string(), stamp_);
}

auto LeaseFolder::publish(const Ip& ip, const std::string& owner) -> Result<bool> {
  const auto name = ip.to_string();
  const Fd file(::openat(folder_.get(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (!file && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) return publish_by_name(name, owner);
  const auto wrong = [&](std::string_view what) {
    return fail(text({what, " ", options_.data_dir, "/", options_.network, "/", name, ": ", errno_words(errno)}));
  };
  if (!file) return wrong("open");
  if (::write(file.get(), owner.data(), owner.size()) != static_cast<ssize_t>(owner.size())) return wrong("write");
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
auto LeaseFolder::publish_by_name(const std::string& name, const std::string& content) -> Result<bool> {
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

auto LeaseFolder::remove(const Ip& ip) -> Result<void> {
  const auto name = ip.to_string();
  if (::unlinkat(folder_.get(), name.c_str(), 0) != 0 && errno != ENOENT) return wrong("remove", name);
  return {};
}

auto LeaseFolder::last_reserved(std::size_t set) const -> std::optional<Ip> {
  const auto text = read_all(folder_.get(), last_name(set));
  return text ? Ip::parse(*text) : std::nullopt;
}

auto LeaseFolder::set_last_reserved(std::size_t set, const Ip& ip) -> Result<void> {
  const auto name = last_name(set);
  const auto address = ip.to_string();
  // In place, as the reference does: readers hold the lock, and one that finds it empty begins at the start.
  const Fd file(::openat(folder_.get(), name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file && ::write(file.get(), address.data(), address.size()) == static_cast<ssize_t>(address.size())) return {};
  return fail(text({"write ", options_.data_dir, "/", options_.network, "/", name, ": ", errno_words(errno)}));
}

auto LeaseFolder::about() const -> std::optional<struct stat> {
  struct stat about {};
  if (::fstat(folder_.get(), &about) != 0) return std::nullopt;
  return about;
}

auto LeaseFolder::set_modified(const timespec& time) -> bool {
  const std::array<timespec, 2> times{timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, time};
  return ::futimens(folder_.get(), times.data()) == 0;
}

auto LeaseFolder::wrong(std::string_view what, std::string_view name) const -> Failure {
  const int why = errno;
  return fail(ErrorCode::io, text({what, " ", options_.data_dir, "/", options_.network, name.empty() ? "" : "/", name,
                                   ": ", errno_words(why)}));
}

}  // namespace weir::cni::host_local
