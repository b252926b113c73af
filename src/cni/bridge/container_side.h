#pragma once

#include <string>
#include <vector>

#include "cni/bridge/config.h"
#include "cni/kernel/link.h"
#include "cni/kernel/netlink_socket.h"
#include "cni/spec/netns.h"

namespace weir::cni::bridge {

// The container's half: a socket that lives in its namespace, made once; the process goes there only to
// open it and to write sysctls.
class ContainerSide {
 public:
  [[nodiscard]] static auto open(const std::string& path) -> Result<ContainerSide>;

  [[nodiscard]] auto find(const std::string& ifname) -> Result<std::optional<Link>>;
  // Addresses, routes, sysctls, and up. A route without a gateway goes through `result`'s first of its family.
  [[nodiscard]] auto configure(const Config& config, const std::string& ifname, const AddResult& result)
      -> Result<void>;
  // Up and nothing else, or not even that.
  [[nodiscard]] auto configure_plain(const Config& config, const std::string& ifname) -> Result<void>;
  // For when the port at the other end forwards and nothing can fail any more; no error stops it. Brings lo up, which
  // nothing takes back whole. Returns when the interface reads as up (RFC 2863), which the kernel says a moment after
  // it works, when the neighbours have been told whose `addresses` are here now, and packets to those are taken in.
  auto settle(const std::string& ifname, const std::vector<Ip>& addresses) -> void;

  [[nodiscard]] auto socket() -> NetlinkSocket& { return socket_; }
  [[nodiscard]] auto netns() const -> int { return netns_.get(); }

 private:
  ContainerSide(Fd netns, NetlinkSocket socket) : netns_(std::move(netns)), socket_(std::move(socket)) {}
  [[nodiscard]] auto set_sysctls(const Config& config, const std::string& ifname, bool v6) -> Result<void>;
  [[nodiscard]] auto wait_for_detection(const std::string& ifname, std::uint32_t index) -> Result<void>;

  Fd netns_;
  NetlinkSocket socket_;
};

}  // namespace weir::cni::bridge
