#include "load_exchange.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/result.h"
#include "load_arguments.h"
#include "load_socket.h"

namespace weir::load {

Exchange::Exchange(Fd fd, std::uint32_t request_size, std::uint32_t response_size)
    : fd_(std::move(fd)), request_(payload().data(), request_size), response_size_(response_size) {
  Header header;
  header.wish = Wish::exchange;
  header.request_size = request_size;
  header.response_size = response_size;
  std::memcpy(request_.data(), &header, sizeof header);
}

void Exchange::start() {
  owed_ = request_.size();
  awaited_ = response_size_;
  on_writable();
}

void Exchange::on_writable() {
  if (owed_ == 0) return;
  const ssize_t n = ::send(fd_.get(), request_.data() + (request_.size() - owed_), owed_, MSG_NOSIGNAL);
  if (n >= 0) {
    owed_ -= static_cast<std::size_t>(n);
  } else if (errno != EAGAIN && errno != EINTR) {
    throw LoadError(fmt::format("sending a request: {}", errno_text(errno)));
  }
}

auto Exchange::on_readable() -> bool {
  static std::array<char, max_message> buffer;  // one thread; what was received is not looked at
  const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (n == 0) throw LoadError("the connection was closed in the middle of the load");
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) return false;
    throw LoadError(fmt::format("receiving a response: {}", errno_text(errno)));
  }
  if (static_cast<std::size_t>(n) > awaited_) throw LoadError("more bytes came than were asked for");
  awaited_ -= static_cast<std::size_t>(n);
  return awaited_ == 0 && owed_ == 0;
}

auto open_stuck_reader(const std::string& address, std::uint64_t bytes) -> Fd {
  Fd fd = connect_to(address);
  Header header;
  header.wish = Wish::download;
  header.bytes = bytes;
  if (::send(fd.get(), &header, sizeof header, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof header)) {
    throw LoadError("asking for a download: short send");
  }
  return fd;
}

}  // namespace weir::load
