#include "view/output_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace weir::view {
namespace {

// The highest number of the files "NAME.number" beside it.
auto highest_number(const std::string& path) -> std::uint64_t {
  const auto slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const std::string prefix = path.substr(slash == std::string::npos ? 0 : slash + 1) + ".";
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  std::uint64_t highest = 0;
  while (const dirent* entry = entries ? ::readdir(entries.get()) : nullptr) {  // NOLINT(concurrency-mt-unsafe): ours
    const std::string_view name(entry->d_name);
    if (!name.starts_with(prefix)) continue;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
    if (error == std::errc{} && end == name.data() + name.size()) highest = std::max(highest, number);
  }
  return highest;
}

// A file that a symbolic link leads to is renamed, and not the link.
auto behind_links(const std::string& path) -> std::string {
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
  return real ? std::string(real.get()) : path;
}

auto same_file(int a, int b) -> bool {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

auto is_removed(int fd) -> bool {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && status.st_nlink == 0;
}

// Renames it unless there is a file of the new name. 0, or the errno.
auto rename_if_free(const std::string& from, const std::string& to) -> int {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // Some file systems, such as NFS, do not know RENAME_NOREPLACE; link(2) replaces nothing either.
  if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()) == 0 ? 0 : errno;
  if (errno == EEXIST) return EEXIST;
  // Nor do some know links. Nobody but us gives files such names, so that looking first is good enough.
  struct stat status {};
  if (::lstat(to.c_str(), &status) == 0) return EEXIST;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

}  // namespace

auto named_errno(int error) -> std::string {
  const char* name = ::strerrorname_np(error);
  return fmt::format("{} ({})", errno_text(error), name == nullptr ? "?" : name);
}

auto open_for_writing(const std::string& path, int flags, unsigned mode) -> Result<Fd> {
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags, mode));
  if (!file && errno == ENXIO) return failure("nobody reads this pipe: start its reader first", ENXIO);
  if (!file) return failure(errno_text(errno), errno);
  // Not waiting was for the opening alone.
  const int now = ::fcntl(file.get(), F_GETFL);
  if (now < 0 || ::fcntl(file.get(), F_SETFL, now & ~O_NONBLOCK) < 0) return failure(errno_text(errno), errno);
  return file;
}

auto standard_output() -> Result<Fd> {
  // base/standard_descriptors.h opens what was closed in a way in which it cannot be written to.
  const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH) != 0) {
    return failure("standard output is closed: there is nowhere to print to", EBADF);
  }
  Fd copy(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!copy) return failure("standard output: " + errno_text(errno), errno);
  return copy;
}

OutputFile::OutputFile(Fd file, const OutputOptions& options)
    : path_(options.path), mode_(options.mode), lines_(options.lines), file_(std::move(file)) {
  look();
}

void OutputFile::look() {
  begun_at_ = SystemClock::instance().mono();
  bytes_ = 0;
  mid_line_ = false;
  struct stat status {};
  regular_ = !path_.empty() && ::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode);
  if (!regular_) return;
  bytes_ = static_cast<std::uint64_t>(status.st_size);
  if (bytes_ == 0 || !lines_) return;
  // Whoever wrote it may have ended in the middle of a line.
  const Fd reader(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char last = '\n';
  if (reader && ::pread(reader.get(), &last, 1, status.st_size - 1) == 1) mid_line_ = last != '\n';
}

void OutputFile::wrote(const char* data, std::size_t size) {
  if (size == 0) return;
  if (bytes_ == 0 && regular_) begun_at_ = SystemClock::instance().mono();
  bytes_ += size;
  mid_line_ = lines_ && data[size - 1] != '\n';
}

void OutputFile::measure() {
  struct stat status {};
  if (regular_ && ::fstat(file_.get(), &status) == 0) bytes_ = static_cast<std::uint64_t>(status.st_size);
}

auto OutputFile::reopen() -> Result<Change> {
  // A file that was removed holds its bytes, and the disk may be full of them, for as long as it is open.
  if (file_ && is_removed(file_.get())) file_.reset();
  auto file = open_for_writing(path_, 0, mode_);
  if (!file) return tl::make_unexpected(file.error());
  if (file_ && same_file(file_.get(), file->get())) return Change::same_file;
  if (file_ && mid_line_) (void)!::write(file_.get(), "\n", 1);
  file_ = *std::move(file);
  look();
  return Change::another_file;
}

auto OutputFile::rotate() -> Result<void> {
  const std::string path = behind_links(path_);
  if (next_number_ == 0) next_number_ = highest_number(path) + 1;
  int error = EEXIST;
  for (; error == EEXIST; ++next_number_) error = rename_if_free(path, fmt::format("{}.{}", path, next_number_));
  if (error != 0) --next_number_;
  // Whoever moved it away before us has made room for another one.
  if (error != 0 && error != ENOENT) return failure(errno_text(error), error);
  auto again = reopen();
  if (again) return {};
  if (error == 0) file_.reset();
  return tl::make_unexpected(again.error());
}

}  // namespace weir::view
