#pragma once

#include <string>
#include <vector>

#include "cni/kernel/link.h"
#include "cni/kernel/netlink_socket.h"
#include "cni/spec/error.h"
#include "cni/spec/ip.h"
#include "cni/spec/waits.h"

namespace weir::cni::bridge {

// Messages that go to the kernel in one datagram, each with the sentence for its refusal.
class Steps {
 public:
  auto add(Message message, std::string context) -> void;
  // The error is "<context>: <the kernel's words>" of the first that was refused.
  [[nodiscard]] auto run(NetlinkSocket& socket) -> Result<void>;
  [[nodiscard]] auto empty() const -> bool { return messages_.empty(); }

 private:
  std::vector<Message> messages_;
  std::vector<std::string> contexts_;
};

// Returns when packets to an address of the link `index` are taken in. False if they are not after a second, or if that
// cannot be told.
auto wait_for_address(NetlinkSocket& socket, std::uint32_t index, const Ip& address) -> bool;
// Less than a second.
auto pause_us(long microseconds) -> void;

[[nodiscard]] auto refused(std::string_view context, const Refusal& refusal) -> Failure;
[[nodiscard]] auto open_route_socket() -> Result<NetlinkSocket>;
[[nodiscard]] auto open_filter_socket() -> Result<NetlinkSocket>;

// Writes a file under /proc/sys of the namespace that the thread is in, unless it says so already: every
// write to some of them takes the kernel's network lock. False if it could not be written.
auto set_sysctl(const std::string& name, std::string_view value) -> bool;
[[nodiscard]] auto read_sysctl(const std::string& name) -> std::string;

// Whether somebody gave a link its MAC, or the kernel did, which lets that of a bridge follow its ports'. Unknown where
// /sys shows another namespace's links, or none.
enum class MacOrigin { set, kernel, unknown };
[[nodiscard]] auto mac_origin(const Link& link) -> MacOrigin;

}  // namespace weir::cni::bridge
