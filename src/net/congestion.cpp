#include "net/congestion.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/fd.h"

namespace weir::net {
namespace {

// Allowed to everybody, whatever the system's own is (net.ipv4.tcp_allowed_congestion_control).
constexpr std::string_view unpaced = "reno";

auto current(int fd) -> std::string {
  std::array<char, longest_congestion_control + 1> name{};
  socklen_t length = name.size();
  if (::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &length) != 0) return {};
  return std::string(name.data(), ::strnlen(name.data(), length));
}

auto set(int fd, std::string_view name) -> int {
  return ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size())) == 0 ? 0
                                                                                                              : errno;
}

// bbr, and its later versions, pace by themselves; no other of the kernel's does.
auto paces(std::string_view name) -> bool { return name.starts_with("bbr"); }

auto is_name(std::string_view choice) -> bool {
  return choice != automatic_congestion_control && choice != system_congestion_control;
}

auto set_by_name(int fd, std::string_view name) -> Result<void> {
  const int error = set(fd, name);
  if (error == 0) return {};
  const char* way_out = "";
  if (error == ENOENT) {
    way_out = "; sysctl net.ipv4.tcp_available_congestion_control lists what this kernel has";
  } else if (error == EPERM) {
    way_out =
        "; sysctl net.ipv4.tcp_allowed_congestion_control lists what may be chosen here without CAP_NET_ADMIN in "
        "the first network namespace";
  }
  return failure(fmt::format("cannot have the congestion control {}: {}{}", name, errno_text(error), way_out), error);
}

}  // namespace

auto choose_congestion_control(int fd, std::string_view choice, const Address& where) -> Result<void> {
  if (!where.is_ip() || choice == system_congestion_control) return {};
  if (is_name(choice)) return set_by_name(fd, choice);
  if (where.is_loopback() && paces(current(fd))) (void)set(fd, unpaced);  // mutant: remote-legs-lose-their-pacing
  return {};
}

void change_congestion_control(int fd, std::string_view choice, const Address& where) {
  if (!where.is_ip()) return;
  // What the system has is what a new socket gets.
  const Fd fresh(::socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (const auto systems = fresh ? current(fresh.get()) : std::string(); !systems.empty()) (void)set(fd, systems);
  (void)choose_congestion_control(fd, choice, where);
}

void choose_accepted_congestion_control(int fd, std::string_view choice, const Address& client) {
  if (choice == automatic_congestion_control && client.is_loopback()) {
    (void)choose_congestion_control(fd, choice, client);
  }
}

auto may_have_congestion_control(std::string_view choice) -> Result<void> {
  if (!is_name(choice)) return {};
  const Fd fresh(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fresh ? set_by_name(fresh.get(), choice) : Result<void>();
}

}  // namespace weir::net
