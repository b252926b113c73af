// Places where sockets live, for the tests of every room: a folder of its own, a listener whose queue
// is full, a network namespace, a thread that is nobody. And a bounded wait for the kernel.
#pragma once

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/address.h"
#include "base/fd.h"
#include "net/socket.h"

namespace weir::net::test {

// Asks until it holds: what the kernel does on loopback takes microseconds. False after five seconds.
template <class Condition>
auto wait_until(Condition holds) -> bool {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// A new, empty folder that only its owner may enter; removed with all it holds.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "weir-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  auto operator=(const Folder&) -> Folder& = delete;

  [[nodiscard]] auto path(std::string_view name) const -> std::string { return (path_ / name).string(); }
  [[nodiscard]] auto open() const -> Fd { return Fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)); }
  void write(std::string_view name, std::string_view text) const { std::ofstream(path(name)) << text; }
  [[nodiscard]] auto read(std::string_view name) const -> std::string {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_;
};

// Listens, and its queue is full: a TCP connect to it stays without an answer, a Unix one gets EAGAIN.
class FullListener {
 public:
  explicit FullListener(const Address& wanted) : socket_(::socket(wanted.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage storage;
    const socklen_t length = wanted.to_sockaddr(storage);
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) std::abort();
    if (::listen(socket_.get(), 0) != 0) std::abort();
    address_ = local_address(socket_.get()).value();
    KernelSockets sockets;
    do {  // a queue of length 0 takes one
      auto filler = sockets.connect(address_, {});
      if (!filler) break;
      fillers_.push_back(std::move(filler->fd));
    } while (!address_.is_ip());
    if (address_.is_ip() && !wait_until([&] { return connect_outcome(fillers_[0].get()) == 0; })) std::abort();
  }
  [[nodiscard]] auto address() const -> const Address& { return address_; }
  // Takes what stands in the queue; there is room again.
  void make_room() {
    for (std::size_t i = 0; i < fillers_.size(); ++i) accepted_.emplace_back(::accept(socket_.get(), nullptr, nullptr));
  }
  [[nodiscard]] auto accept() const -> Fd { return Fd(::accept(socket_.get(), nullptr, nullptr)); }

 private:
  Fd socket_;
  Address address_;
  std::vector<Fd> fillers_;
  std::vector<Fd> accepted_;
};

// Runs `what` on a thread that has given up root. False, and it did not run: we are not root.
template <class What>
auto as_nobody(What what) -> bool {
  if (::geteuid() != 0) return false;
  bool ran = false;
  std::thread([&] {
    // The bare call changes one thread; the C library's would change all.
    constexpr long nobody = 65534;
    if (::syscall(SYS_setresuid, nobody, nobody, nobody) != 0) return;
    what();
    ran = true;
  }).join();
  return ran;
}

[[nodiscard]] inline auto unprivileged_port_start() -> int {
  int port = 1024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
  return port;
}

[[nodiscard]] inline auto this_threads_namespace() -> std::string {
  return std::filesystem::read_symlink("/proc/thread-self/ns/net").string();
}

// Runs `inside` in a network namespace of its own, whose loopback is up. None: not permitted.
template <class Inside>
auto network_namespace(Inside inside) -> Fd {
  Fd made;
  std::thread([&] {  // unshare moves this thread alone, and it ends at once
    if (::unshare(CLONE_NEWNET) != 0) return;
    const Fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::string_view("lo").copy(request.ifr_name, sizeof request.ifr_name);
    request.ifr_flags = IFF_UP;
    if (::ioctl(any.get(), SIOCSIFFLAGS, &request) != 0) return;
    inside();
    made.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  })
      .join();
  return made;
}
[[nodiscard]] inline auto network_namespace() -> Fd {
  return network_namespace([] {});
}

}  // namespace weir::net::test
