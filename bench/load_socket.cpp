#include "load_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "base/address.h"
#include "base/listen_address.h"
#include "base/upstream_address.h"
#include "load_arguments.h"

namespace weir::load {

namespace {

constexpr std::uint64_t nanos_per_second = 1'000'000'000;

[[noreturn]] void fail(std::string_view doing, const std::string& address) {
  throw LoadError(fmt::format("{} {}: {}", doing, address, errno_text(errno)));
}

auto parse_target(const std::string& text) -> Address {
  const auto parsed = UpstreamAddress::parse(text);
  if (!parsed) throw UsageError(parsed.error().message);
  const auto* address = std::get_if<Address>(&parsed->target);
  if (address == nullptr) throw UsageError(fmt::format("{}: expected a numeric address", text));
  return *address;
}

void set_nodelay(const Fd& fd, const Address& address) {
  const int on = 1;
  if (address.is_ip()) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

auto open_socket(const Address& address, const std::string& text, int flags) -> Fd {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd) fail("socket for", text);
  set_nodelay(fd, address);
  return fd;
}

}  // namespace

auto now_nanos() -> std::uint64_t {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * nanos_per_second + static_cast<std::uint64_t>(time.tv_nsec);
}

auto listen_on(const std::string& text) -> Fd {
  const auto parsed = ListenAddress::parse(text);
  if (!parsed) throw UsageError(parsed.error().message);
  const Address& address = parsed->addresses.front();
  Fd fd = open_socket(address, text, SOCK_NONBLOCK);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage storage{};
  const socklen_t length = address.to_sockaddr(storage);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) fail("bind", text);
  if (::listen(fd.get(), 4096) != 0) fail("listen", text);
  return fd;
}

auto local_address(const Fd& listener) -> std::string {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) fail("getsockname", "");
  const auto address = Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length);
  if (!address) throw LoadError(address.error().message);
  return address->to_string();
}

auto connect_to(const std::string& text) -> Fd {
  const Address address = parse_target(text);
  Fd fd = open_socket(address, text, 0);
  sockaddr_storage storage{};
  const socklen_t length = address.to_sockaddr(storage);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) fail("connect to", text);
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  return fd;
}

auto start_connect(const std::string& text) -> Fd {
  const Address address = parse_target(text);
  Fd fd = open_socket(address, text, SOCK_NONBLOCK);
  sockaddr_storage storage{};
  const socklen_t length = address.to_sockaddr(storage);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 && errno != EINPROGRESS) {
    fail("connect to", text);
  }
  return fd;
}

auto accept_one(const Fd& listener) -> Fd {
  Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) fail("accept", "");
  const int on = 1;
  if (fd) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // refused on a Unix socket: fine
  return fd;
}

void raise_descriptor_limit(std::uint64_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_max = std::max<rlim_t>(limit.rlim_max, wanted);
  limit.rlim_cur = wanted;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  throw LoadError(
      fmt::format("{} descriptors are needed, RLIMIT_NOFILE cannot be raised so far: {}", wanted, errno_text(errno)));
}

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) fail("epoll_create1", "");
}

void Poller::add(const Fd& fd, std::uint32_t events, std::uint64_t word) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = word;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) fail("epoll_ctl", "ADD");
}

void Poller::change(const Fd& fd, std::uint32_t events, std::uint64_t word) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = word;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd.get(), &event) != 0) fail("epoll_ctl", "MOD");
}

auto Poller::wait_until(std::uint64_t deadline) -> std::span<const epoll_event> {
  const std::uint64_t now = now_nanos();
  const std::uint64_t left = deadline > now ? deadline - now : 0;
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(left / nanos_per_second);
  timeout.tv_nsec = static_cast<long>(left % nanos_per_second);
  const int count = ::epoll_pwait2(epoll_.get(), ready_.data(), static_cast<int>(ready_.size()), &timeout, nullptr);
  if (count < 0 && errno != EINTR) fail("epoll_pwait2", "");
  return {ready_.data(), count < 0 ? 0 : static_cast<std::size_t>(count)};
}

auto payload() -> const std::array<char, payload_size>& {
  static const auto bytes = [] {
    std::array<char, payload_size> text{};
    for (std::size_t i = 0; i < text.size(); ++i) {
      text[i] = i % 64 == 63 ? '\n' : static_cast<char>('!' + (i + i / 64) % 94);
    }
    return text;
  }();
  return bytes;
}

void wait_at_gate(std::string_view name) {
  fmt::print(stderr, "weir-load: gate {}\n", name);
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) {
  }
}

}  // namespace weir::load
