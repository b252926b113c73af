#include "cni/bridge/ports.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <unistd.h>

#include <ctime>

#include "cni/kernel/address.h"
#include "cni/spec/first_line.h"

namespace weir::cni::bridge {

auto Steps::add(Message message, std::string context) -> void {
  messages_.push_back(std::move(message));
  contexts_.push_back(std::move(context));
}

auto Steps::run(NetlinkSocket& socket) -> Result<void> {
  const auto done = socket.send(std::move(messages_));
  messages_.clear();
  if (done) return {};
  return refused(contexts_.at(done.error().message), done.error());
}

auto pause_us(long microseconds) -> void {
  const struct timespec step { .tv_sec = 0, .tv_nsec = microseconds * 1000 };
  ::nanosleep(&step, nullptr);
}

auto wait_for_address(NetlinkSocket& socket, std::uint32_t index, const Ip& address) -> bool {
  if (address.is_v4()) return true;
  for (const auto end = clock_ms() + 1000; clock_ms() < end;) {
    const auto now = is_taken_in(socket, index, address);
    if (now != TakenIn::not_yet) return now == TakenIn::yes;
    pause_us(200);
  }
  return false;
}

auto refused(std::string_view context, const Refusal& refusal) -> Failure {
  return fail(text({context, ": ", refusal.words()}));
}

auto open_route_socket() -> Result<NetlinkSocket> {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return refused("failed to open a netlink socket", socket.error());
  return std::move(*socket);
}

auto open_filter_socket() -> Result<NetlinkSocket> {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return refused("failed to open a netfilter socket", socket.error());
  return std::move(*socket);
}

auto read_sysctl(const std::string& name) -> std::string { return first_line("/proc/sys/" + name); }

auto mac_origin(const Link& link) -> MacOrigin {
  constexpr std::string_view set = "3";  // NET_ADDR_SET; sysfs-class-net, addr_assign_type
  const auto folder = "/sys/class/net/" + link.name;
  const bool is_it = first_line(folder + "/ifindex") == std::to_string(link.index) &&
                     first_line(folder + "/address") == to_string(link.mac);
  if (!is_it) return MacOrigin::unknown;
  const auto type = first_line(folder + "/addr_assign_type");
  if (type.empty()) return MacOrigin::unknown;
  return type == set ? MacOrigin::set : MacOrigin::kernel;
}

auto set_sysctl(const std::string& name, std::string_view value) -> bool {
  if (read_sysctl(name) == value) return true;
  const Fd file(::open(("/proc/sys/" + name).c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

}  // namespace weir::cni::bridge
