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
#include "cni/host_local/namespace_stamp.h"
#include "cni/host_local/safe_files.h"
#include "cni/spec/sha512.h"
#include "cni/spec/waits.h"

namespace weir::cni::host_local {
namespace {

auto trimmed(std::string_view text) -> std::string_view {
  const auto blank = " \t\n\v\f\r";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

auto last_name(std::size_t set) -> std::string { return "last_reserved_ip." + std::to_string(set); }

// More than any lease: a container ID comes out of an environment, whose strings end at 128 KiB (execve(2)).
constexpr std::size_t most_read = 256U << 10U;

// nullopt, and errno says why, if it cannot be read.
auto read_all(const Fd& file) -> std::optional<std::string> {
  std::string out;
  std::array<char, 1024> buffer{};
  while (true) {
    const auto n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0) return std::nullopt;
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
    if (out.size() <= most_read) continue;
    errno = EFBIG;
    return std::nullopt;
  }
}

// The address that a file is named by, if it is the name that the address would be given.
auto ip_named(const std::string& name) -> std::optional<Ip> {
  const auto ip = Ip::parse(name);
  return ip && ip->to_string() == name ? ip : std::nullopt;
}

}  // namespace

auto LeaseFolder::open(const Options& options) -> Result<LeaseFolder> {
  auto data = open_folder(options.data_dir, {.make = true, .sticky = true});
  if (!data) return Failure(data.error().error);
  auto folder = open_folder_in(data->get(), options.data_dir, options.network, {.make = true, .sticky = false});
  if (!folder) return Failure(folder.error().error);
  return locked(options, std::move(*data), *folder);
}

auto LeaseFolder::open_existing(const Options& options) -> Result<std::optional<LeaseFolder>> {
  // What is not there, or cannot be for want of room for its name, holds no lease. One in a folder that we cannot get
  // at is not one that is gone.
  const auto is_none = [](const NoFolder& why) { return why.code == ENOENT || why.code == ENAMETOOLONG; };
  auto data = open_folder(options.data_dir, {.make = false, .sticky = true});
  if (!data && is_none(data.error())) return std::optional<LeaseFolder>{};
  if (!data) return Failure(data.error().error);
  auto folder = open_folder_in(data->get(), options.data_dir, options.network, {});
  if (!folder && is_none(folder.error())) return std::optional<LeaseFolder>{};
  if (!folder) return Failure(folder.error().error);
  return locked(options, std::move(*data), *folder);
}

auto LeaseFolder::locked(const Options& options, Fd data, const Fd& folder) -> Result<LeaseFolder> {
  LeaseFolder out;
  out.options_ = options;
  out.data_ = std::move(data);
  out.folder_ = Fd(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!out.folder_) return fail(text({"open ", options.data_dir, "/", options.network, ": ", errno_words(errno)}));
  const auto path = text({options.data_dir, "/", options.network, "/lock"});
  auto lock = open_file(out.folder_.get(), "lock", O_RDONLY | O_CREAT, 0750);
  if (!lock) return fail(ErrorCode::io, text({"open ", path, ": ", lock.error().words}));
  out.lock_ = std::move(*lock);
  if (!lock_within(out.lock_.get(), LOCK_EX, longest_lock_wait_s)) {
    if (errno != EWOULDBLOCK) return fail(ErrorCode::io, text({"lock ", path, ": ", errno_words(errno)}));
    return fail(ErrorCode::try_again, text({"lock ", path, ": somebody has held it for ",
                                            std::to_string(longest_lock_wait_s), " s: try again later"}));
  }
  if (options.reclaim_after_reboot) out.stamp_ = this_boot_stamp();
  return out;
}

auto LeaseFolder::beside() const -> Fd {
  auto folder = open_folder_in(data_.get(), options_.data_dir, ".weir", {});
  return folder ? std::move(*folder) : Fd();
}

auto LeaseFolder::make_beside() const -> Fd {
  if (::mkdirat(data_.get(), ".weir", 0700) != 0) return {};
  return beside();
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
  // Not by open_file: a lease is root's whoever wrote it, since nobody else may write to the folder.
  const Fd file(::openat(folder_.get(), ip.to_string().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  struct stat about {};
  if (file && (::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode))) {
    errno = EISDIR;
    return std::nullopt;
  }
  const auto text = file ? read_all(file) : std::nullopt;
  if (!text) return std::nullopt;
  return std::string(trimmed(*text));
}

auto LeaseFolder::is_empty(const Ip& ip) const -> bool {
  struct stat about {};
  return ::fstatat(folder_.get(), ip.to_string().c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(about.st_mode) &&
         about.st_size == 0;
}

auto LeaseFolder::is_of_earlier_boot(const Ip& ip) const -> bool {
  return !stamp_.empty() && host_local::is_of_earlier_boot(folder_.get(), ip.to_string(), stamp_);
}

auto LeaseFolder::is_of_gone_namespace(const Ip& ip) const -> bool {
  return is_namespace_gone(namespace_stamp_of(folder_.get(), ip.to_string()), options_.netns);
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
  put_namespace_stamp(file.get(), options_.netns);
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
  const auto draft = text({".draft.", sha512_hex(options_.network, 16)});
  const auto wrong = [&] {
    return fail(text({"write ", options_.data_dir, "/.weir/", draft, ": ", errno_words(errno)}));
  };
  auto folder = beside();
  if (!folder) folder = make_beside();
  if (!folder) return wrong();
  ::unlinkat(folder.get(), draft.c_str(), 0);
  const Fd file(::openat(folder.get(), draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file || ::write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    return wrong();
  if (!stamp_.empty()) put_stamp(file.get(), stamp_);
  put_namespace_stamp(file.get(), options_.netns);
  const int linked = ::linkat(folder.get(), draft.c_str(), folder_.get(), name.c_str(), 0);
  const int why = errno;
  ::unlinkat(folder.get(), draft.c_str(), 0);
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
  const auto file = open_file(folder_.get(), last_name(set), O_RDONLY);
  const auto text = file ? read_all(*file) : std::nullopt;
  return text ? Ip::parse(*text) : std::nullopt;
}

auto LeaseFolder::set_last_reserved(std::size_t set, const Ip& ip) -> Result<void> {
  const auto name = last_name(set);
  const auto address = ip.to_string();
  const auto wrong = [&](std::string_view why) {
    return fail(text({"write ", options_.data_dir, "/", options_.network, "/", name, ": ", why}));
  };
  // In place, as the reference does: readers hold the lock, and one that finds it empty begins at the start.
  const auto file = open_file(folder_.get(), name, O_WRONLY | O_CREAT, 0600);
  if (!file) return wrong(file.error().words);
  if (::ftruncate(file->get(), 0) != 0) return wrong(errno_words(errno));
  if (::write(file->get(), address.data(), address.size()) == static_cast<ssize_t>(address.size())) return {};
  return wrong(errno_words(errno));
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
