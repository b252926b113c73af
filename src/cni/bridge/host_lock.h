#pragma once

#include <string_view>

#include "base/fd.h"

namespace weir::cni::bridge {

// An agreement among our own calls on this host, held for the life of the object: flock(2) on
// /run/weir-cni.<what>.lock, which only root can open. Where /run cannot be written, or somebody keeps the lock for ten
// seconds (a plugin that was stopped, a program that hangs), nothing is locked, and calls may then meet as they would
// without it: what they change in the kernel is safe by itself.
//   nat     who runs iptables-restore. iptables-nft begins again whenever another has changed anything, so
//           that sixteen at once do their work many times over. The program inherits the lock: if we are
//           killed, the next DEL waits (ten seconds at most) until what it was about to add is there, or never
//           will be.
//   bridge  who looks whether a bridge is empty to delete it, and who attaches to one that may be.
class HostLock {
 public:
  HostLock() = default;  // holds nothing
  HostLock(HostLock&&) noexcept = default;
  auto operator=(HostLock&& other) noexcept -> HostLock&;
  HostLock(const HostLock&) = delete;
  auto operator=(const HostLock&) -> HostLock& = delete;
  ~HostLock() { release(); }
  [[nodiscard]] static auto take(std::string_view what) -> HostLock;
  // Waits until nobody holds it; makes nothing.
  static auto wait_for(std::string_view what) -> void;
  // Also for whoever has inherited it.
  auto release() -> void;
  [[nodiscard]] auto fd() const -> int { return file_.get(); }  // -1 if nothing is held

 private:
  explicit HostLock(Fd file) : file_(std::move(file)) {}
  Fd file_;
};

}  // namespace weir::cni::bridge
