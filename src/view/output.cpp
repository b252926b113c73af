#include "view/output.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>

namespace weir::view {

Output::Output(int fd) : fd_(fd), buffer_(std::make_unique_for_overwrite<char[]>(capacity)) {}

auto Output::space(std::size_t n) -> char* {
  assert(n <= capacity);
  if (capacity - used_ < n) (void)flush();
  return buffer_.get() + used_;
}

void Output::append(std::string_view text) {
  if (text.size() > capacity - used_) {
    (void)flush();
    if (text.size() > capacity) return write_all(text.data(), text.size());
  }
  used_ += text.copy(buffer_.get() + used_, text.size());
}

void Output::append(std::span<const std::byte> bytes) {
  if (!bytes.empty()) append(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

auto Output::flush() -> bool {
  write_all(buffer_.get(), used_);
  used_ = 0;
  return !closed();
}

void Output::write_all(const char* data, std::size_t size) {
  while (size > 0 && !closed() && !abandoned()) {
    const ssize_t written = ::write(fd_, data, size);
    if (written > 0) {
      data += written;
      size -= static_cast<std::size_t>(written);
    } else if (written == 0) {
      error_ = EIO;  // write(2) promises this for no descriptor; trying again might never end
    } else if (errno == EAGAIN) {
      wait_until_writable();
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
}

void Output::wait_until_writable() {
  pollfd waiting{.fd = fd_, .events = POLLOUT, .revents = 0};
  // Whatever poll says, and an interruption by a signal too, the next write decides.
  if (::poll(&waiting, 1, -1) < 0 && errno != EINTR) error_ = errno;
}

auto Output::abandoned() -> bool {
  if (!abandoned_.load(std::memory_order_relaxed)) return false;
  error_ = ECANCELED;
  return true;
}

auto open_for_writing(const std::string& path, int flags, unsigned mode) -> Result<Fd> {
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags, mode));
  if (!file && errno == ENXIO) return failure("nobody reads this pipe: start its reader first", ENXIO);
  if (!file) return failure(errno_text(errno), errno);
  // Not waiting was for the opening alone.
  const int now = ::fcntl(file.get(), F_GETFL);
  if (now < 0 || ::fcntl(file.get(), F_SETFL, now & ~O_NONBLOCK) < 0) return failure(errno_text(errno), errno);
  return file;
}

}  // namespace weir::view
