#include "syslog/log_output.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <vector>

#include "base/upstream_address.h"
#include "net/socket.h"

namespace weir::syslog {
namespace {

// Waits until `fd` can be written to. Error: interrupted, or `patience_ms` (-1: none) has passed.
auto wait_writable(int fd, const Interruption& interruption, int patience_ms) -> Result<void> {
  std::array<pollfd, 2> waiting{
      {{.fd = fd, .events = POLLOUT, .revents = 0}, {.fd = interruption.fd(), .events = POLLIN, .revents = 0}}};
  while (true) {
    const int ready = ::poll(waiting.data(), waiting.size(), patience_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (waiting[1].revents != 0) return failure("the log is being closed", ECANCELED);
    if (ready == 0) return failure("no answer in time", ETIMEDOUT);
    return {};
  }
}

auto system_failure(int error) { return failure(errno_text(error), error); }

// A descriptor that is written to: stderr, stdout, a file, a FIFO.
class DescriptorOutput : public LogOutput {
 public:
  DescriptorOutput(int fd, const Interruption& interruption) : fd_(fd), interruption_(interruption) {}
  auto open() -> Result<void> override { return {}; }
  void close() override {}
  auto send(std::string_view message) -> Result<void> override {
    // What a full disk cut off is ended, so that the next message has a line of its own.
    const std::string line = std::exchange(broken_line_, false) ? "\n" + std::string(message) : std::string(message);
    std::string_view left = line;
    while (!left.empty()) {
      if (auto ready = wait_writable(fd_, interruption_, -1); !ready) return ready;
      // A pipe that is writable has room for PIPE_BUF bytes, so this does not block, and the descriptor, which
      // others share, can stay as it is.
      const auto n = ::write(fd_, left.data(), std::min<std::size_t>(left.size(), PIPE_BUF));
      if (n < 0) {
        if (errno == EINTR || errno == EAGAIN) continue;
        const int error = errno;
        broken_line_ = left.size() < line.size();
        return system_failure(error);
      }
      left.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
  }

 protected:
  int fd_;  // NOLINT(cppcoreguidelines-non-private-member-variables-in-classes): FileOutput's to set

 private:
  const Interruption& interruption_;
  bool broken_line_ = false;
};

// O_NONBLOCK, as opening a FIFO that nobody reads would wait for ever.
auto open_file(const std::string& path) -> Result<Fd> {
  Fd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640));
  if (!fd) return system_failure(errno);
  return fd;
}

class FileOutput final : public DescriptorOutput {
 public:
  FileOutput(std::string path, const Interruption& interruption)
      : DescriptorOutput(-1, interruption), path_(std::move(path)) {}
  auto open() -> Result<void> override {
    auto file = open_file(path_);
    if (!file) return tl::make_unexpected(file.error());
    file_ = *std::move(file);
    fd_ = file_.get();
    return {};
  }
  void close() override {
    file_.reset();
    fd_ = -1;
  }

 private:
  std::string path_;
  Fd file_;
};

class SocketOutput final : public LogOutput {
 public:
  SocketOutput(const Target& target, const Interruption& interruption) : target_(target), interruption_(interruption) {}
  auto open() -> Result<void> override;
  auto send(std::string_view message) -> Result<void> override;
  void close() override { socket_.reset(); }

 private:
  [[nodiscard]] auto addresses() const -> Result<std::vector<Address>>;
  [[nodiscard]] auto connect(const Address& address, int type) -> Result<void>;
  [[nodiscard]] auto has_ended() const -> bool;

  const Target target_;
  const Interruption& interruption_;
  Fd socket_;
  bool stream_ = false;
};

auto SocketOutput::addresses() const -> Result<std::vector<Address>> {
  if (target_.transport == Transport::local) return std::vector{Address(Address::Unix{target_.path})};
  if (const auto* numeric = std::get_if<Address>(&target_.address->target)) return std::vector{*numeric};
  const auto& name = std::get<UpstreamAddress::Name>(target_.address->target);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = target_.transport == Transport::tcp ? SOCK_STREAM : SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  // On this thread, which nobody waits for.
  const int error = ::getaddrinfo(name.host.c_str(), std::to_string(name.port).c_str(), &hints, &list);
  if (error != 0) return failure(fmt::format("cannot resolve \"{}\": {}", name.host, ::gai_strerror(error)));
  std::vector<Address> found;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (auto address = Address::from_sockaddr(entry->ai_addr, entry->ai_addrlen)) found.push_back(*std::move(address));
  }
  ::freeaddrinfo(list);
  return found;
}

auto SocketOutput::connect(const Address& address, int type) -> Result<void> {
  Fd socket(::socket(address.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return system_failure(errno);
  sockaddr_storage storage{};
  const socklen_t length = address.to_sockaddr(storage);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    if (errno != EINPROGRESS) return system_failure(errno);
    if (auto ready = wait_writable(socket.get(), interruption_, connect_patience_ms); !ready) return ready;
    if (const int error = net::connect_outcome(socket.get()); error != 0) return system_failure(error);
  }
  socket_ = std::move(socket);
  stream_ = type == SOCK_STREAM;
  return {};
}

auto SocketOutput::open() -> Result<void> {
  const auto found = addresses();
  if (!found) return tl::make_unexpected(found.error());
  Result<void> last = failure("no address");
  for (const Address& address : *found) {
    last = connect(address, target_.transport == Transport::tcp ? SOCK_STREAM : SOCK_DGRAM);
    // Some daemons listen on a stream socket, whose messages end with a NUL.
    if (!last && target_.transport == Transport::local && last.error().code == EPROTOTYPE) {
      last = connect(address, SOCK_STREAM);
    }
    if (last) return last;
  }
  return last;
}

// A peer that closed while nothing was sent: told before a message is lost to it.
auto SocketOutput::has_ended() const -> bool {
  if (!stream_) return false;
  char byte = 0;
  const auto n = ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

auto SocketOutput::send(std::string_view message) -> Result<void> {
  if (has_ended()) return failure("the peer has closed the connection", ECONNRESET);
  const std::string ended = stream_ && target_.transport == Transport::local ? std::string(message) + '\0' : "";
  std::string_view left = ended.empty() ? message : ended;
  while (!left.empty()) {
    const auto n = ::send(socket_.get(), left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      left.remove_prefix(stream_ ? static_cast<std::size_t>(n) : left.size());
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return system_failure(errno);
    if (auto ready = wait_writable(socket_.get(), interruption_, -1); !ready) return ready;
  }
  return {};
}

}  // namespace

Interruption::Interruption() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Interruption::now() { (void)::eventfd_write(event_.get(), 1); }

auto make_output(const Target& target, const Interruption& interruption) -> std::unique_ptr<LogOutput> {
  switch (target.transport) {
    case Transport::standard_error: return std::make_unique<DescriptorOutput>(STDERR_FILENO, interruption);
    case Transport::standard_output: return std::make_unique<DescriptorOutput>(STDOUT_FILENO, interruption);
    case Transport::file: return std::make_unique<FileOutput>(target.path, interruption);
    case Transport::local:
    case Transport::udp:
    case Transport::tcp: break;
  }
  return std::make_unique<SocketOutput>(target, interruption);
}

auto check_target(const Target& target) -> Result<void> {
  if (target.transport != Transport::file) return {};
  const auto file = open_file(target.path);
  if (file || file.error().code == ENXIO) return {};  // a FIFO whose reader may come
  return failure(fmt::format("{}: {}", target.text, file.error().message), file.error().code);
}

// systemd.exec(5): device and inode of the journal's socket. A descriptor that was redirected since has others.
auto is_journal(int fd) -> bool {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(fd, &status) != 0) return false;
  return stream == fmt::format("{}:{}", status.st_dev, status.st_ino);
}

}  // namespace weir::syslog
