#include "control/file_text.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "base/clock.h"
#include "base/fd.h"

namespace weir::control {
namespace {

constexpr std::size_t most_bytes = 64 * 1024 * 1024;
constexpr std::chrono::milliseconds patience{1000};

// A writer that goes on byte by byte would hold the reader for ever.
auto too_slow(const std::string& path) -> tl::unexpected<Error> {
  return failure(fmt::format("{}: its end did not come within 1 s: write it faster, or name a regular file", path));
}

}  // namespace

auto read_text(const std::string& path) -> Result<std::string> {
  const auto failed = [&](int error) { return failure(fmt::format("{}: {}", path, errno_text(error)), error); };
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return failed(errno);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return failed(errno);
  const bool is_file = S_ISREG(about.st_mode);
  const MonoTime end = SystemClock::instance().mono() + patience;
  std::string text;
  std::array<char, 65536> piece{};
  while (true) {
    const ssize_t n = ::read(file.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - SystemClock::instance().mono());
      pollfd waiting{.fd = file.get(), .events = POLLIN, .revents = 0};
      if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0) {
        return text.empty() ? failure(fmt::format("{}: nothing came from it", path)) : too_slow(path);
      }
      continue;
    }
    if (n < 0) return failed(errno);
    if (n == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(n));
    if (!is_file && SystemClock::instance().mono() >= end) return too_slow(path);
    if (text.size() > most_bytes) return failure(fmt::format("{}: it is larger than 64 MiB", path));
  }
  // A pipe without a writer is at its end at once, which is no empty file.
  if (text.empty() && !is_file) return failure(fmt::format("{}: nothing came from it", path));
  return text;
}

}  // namespace weir::control
