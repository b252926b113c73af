#include "control/file_text.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.h"

namespace weir::control {
namespace {

constexpr std::size_t most_bytes = 64 * 1024 * 1024;
constexpr int patience_ms = 1000;

}  // namespace

auto read_text(const std::string& path) -> Result<std::string> {
  const auto failed = [&](int error) { return failure(fmt::format("{}: {}", path, errno_text(error)), error); };
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return failed(errno);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return failed(errno);
  std::string text;
  std::array<char, 65536> piece{};
  while (true) {
    const ssize_t n = ::read(file.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd waiting{.fd = file.get(), .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, patience_ms) == 0) return failure(fmt::format("{}: nothing came from it", path));
      continue;
    }
    if (n < 0) return failed(errno);
    if (n == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(n));
    if (text.size() > most_bytes) return failure(fmt::format("{}: it is larger than 64 MiB", path));
  }
  // A pipe without a writer is at its end at once, which is no empty file.
  if (text.empty() && !S_ISREG(about.st_mode)) return failure(fmt::format("{}: nothing came from it", path));
  return text;
}

}  // namespace weir::control
