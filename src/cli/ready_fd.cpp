#include "cli/ready_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace weir::cli {

auto check_ready_fd(const std::optional<int>& fd) -> Result<void> {
  if (!fd || ::fcntl(*fd, F_GETFD) >= 0) return {};
  return failure(
      fmt::format("--ready-fd {}: this descriptor is not open; open it for writing before starting weir", *fd));
}

auto tell_ready_fd(const std::optional<int>& fd, const std::string& line) -> Result<void> {
  if (!fd) return {};
  const std::string ready = "weir: " + line + "\n";
  if (::write(*fd, ready.data(), ready.size()) < 0) {
    return failure(fmt::format("--ready-fd {}: {}", *fd, errno_text(errno)));
  }
  if (*fd > STDERR_FILENO) ::close(*fd);
  return {};
}

}  // namespace weir::cli
