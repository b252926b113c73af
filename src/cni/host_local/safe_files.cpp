#include "cni/host_local/safe_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <optional>

namespace weir::cni::host_local {
namespace {

constexpr int most_links = 40;  // as the kernel follows on one path (path_resolution(7))

auto is_ours(const struct stat& about) -> bool { return about.st_uid == 0 || about.st_uid == ::geteuid(); }

auto octal(mode_t mode) -> std::string {
  std::string digits;
  for (int shift = 9; shift >= 0; shift -= 3) digits += static_cast<char>('0' + ((mode >> shift) & 7U));
  return digits;
}

auto refused(std::string sentence) -> tl::unexpected<NoFolder> {
  return tl::unexpected(NoFolder{EPERM, fail(ErrorCode::io, std::move(sentence)).value()});
}

auto failed(std::string_view what, const std::string& where, int code) -> tl::unexpected<NoFolder> {
  return tl::unexpected(NoFolder{code, fail(text({what, " ", where, ": ", errno_words(code)})).value()});
}

// Goes down a path, one name after the other.
class Way {
 public:
  Way(Fd from, std::string shown) : here_(std::move(from)), shown_(std::move(shown)) {}

  auto go(std::string rest, bool make) -> tl::expected<void, NoFolder> {
    for (int links = 0; !(rest = without_slashes(rest)).empty();) {
      const auto name = rest.substr(0, rest.find('/'));
      rest.erase(0, name.size());
      const auto path = text({shown_, shown_.empty() || shown_.ends_with('/') ? "" : "/", name});
      Fd next(::openat(here_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      if (!next && errno == ENOENT && make) {
        if (::mkdirat(here_.get(), name.c_str(), 0755) != 0 && errno != EEXIST) return failed("mkdir", path, errno);
        next = Fd(::openat(here_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      }
      struct stat about {};
      if (!next || ::fstat(next.get(), &about) != 0) return failed("open", path, errno);
      if (S_ISLNK(about.st_mode)) {
        if (++links > most_links) return failed("open", path, ELOOP);
        if (!is_ours(about)) {
          return refused(text({path, " is a symbolic link of user ", std::to_string(about.st_uid),
                               "'s, and is not followed: name the folder itself, or give the link to root"}));
        }
        auto target = target_of(next);
        if (!target) return failed("open", path, errno);
        if (target->starts_with('/')) {
          here_ = Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
          shown_ = "/";
        }
        rest = text({*target, "/", rest});
        continue;
      }
      if (!S_ISDIR(about.st_mode)) return failed("mkdir", path, ENOTDIR);  // as an ADD, which would make it, has it
      here_ = std::move(next);
      shown_ = path;
    }
    return {};
  }

  auto take(bool sticky) -> tl::expected<Fd, NoFolder> {
    struct stat about {};
    if (!here_ || ::fstat(here_.get(), &about) != 0) return failed("open", shown_, errno);
    if (!is_ours(about)) {
      return refused(text({shown_, " belongs to user ", std::to_string(about.st_uid),
                           ", who could change every lease: give it to root, or name another dataDir"}));
    }
    const bool open_to_others = (about.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (open_to_others && !(sticky && (about.st_mode & S_ISVTX) != 0)) {
      return refused(text({shown_, " may be written to by others than its owner (mode ", octal(about.st_mode & 07777U),
                           "), who could change every lease: `chmod go-w ", shown_, "`"}));
    }
    return std::move(here_);
  }

 private:
  static auto without_slashes(const std::string& path) -> std::string {
    return path.substr(std::min(path.find_first_not_of('/'), path.size()));
  }

  static auto target_of(const Fd& link) -> std::optional<std::string> {
    std::array<char, PATH_MAX> buffer{};
    const auto n = ::readlinkat(link.get(), "", buffer.data(), buffer.size());
    if (n < 0) return std::nullopt;
    return std::string(buffer.data(), static_cast<std::size_t>(n));
  }

  Fd here_;
  std::string shown_;
};

}  // namespace

auto open_file(int folder, const std::string& name, int flags, mode_t mode) -> Safe<Fd> {
  Fd file(::openat(folder, name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode));
  const auto unsafe = [](int code, std::string words) { return tl::unexpected(Unsafe{code, std::move(words)}); };
  if (!file && errno == ELOOP) return unsafe(ELOOP, "it is a symbolic link, and is not followed: delete it");
  // A FIFO that is written to and has no reader.
  if (!file && errno == ENXIO) return unsafe(EINVAL, "it is no regular file: delete it");
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0) return unsafe(errno, errno_words(errno));
  if (!S_ISREG(about.st_mode)) return unsafe(EINVAL, "it is no regular file: delete it");
  if (!is_ours(about)) {
    return unsafe(EPERM,
                  text({"it belongs to user ", std::to_string(about.st_uid), ": delete it, or give it to root"}));
  }
  return file;
}

auto open_folder(const std::string& path, FolderWish wish) -> tl::expected<Fd, NoFolder> {
  const bool absolute = path.starts_with('/');
  Way way(Fd(::open(absolute ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC)), absolute ? "/" : "");
  if (auto gone = way.go(path, wish.make); !gone) return tl::unexpected(gone.error());
  return way.take(wish.sticky);
}

auto open_folder_in(int parent, const std::string& shown, const std::string& name, FolderWish wish)
    -> tl::expected<Fd, NoFolder> {
  Way way(Fd(::openat(parent, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)), shown);
  if (auto gone = way.go(name, wish.make); !gone) return tl::unexpected(gone.error());
  return way.take(wish.sticky);
}

}  // namespace weir::cni::host_local
