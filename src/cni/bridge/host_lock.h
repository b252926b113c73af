#pragma once

#include <string_view>

#include "base/fd.h"

namespace weir::cni::bridge {

// An agreement among our own calls on this host, held for the life of the object: flock(2) on
// /run/weir-cni.<what>.lock, which only root can open. Where /run cannot be written nothing is locked, and
// calls may then meet as they would without it: what they change in the kernel is safe by itself.
//   nat     who runs iptables-restore. iptables-nft begins again whenever another has changed anything, so
//           that sixteen at once do their work many times over.
//   bridge  who looks whether a bridge is empty to delete it, and who attaches to one that may be.
class HostLock {
 public:
  HostLock() = default;  // holds nothing
  [[nodiscard]] static auto take(std::string_view what) -> HostLock;
  auto release() -> void { file_.reset(); }

 private:
  explicit HostLock(Fd file) : file_(std::move(file)) {}
  Fd file_;
};

}  // namespace weir::cni::bridge
