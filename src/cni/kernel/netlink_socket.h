#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "cni/kernel/netlink_message.h"
#include "cni/kernel/refusal.h"

namespace weir::cni {

// A netlink socket in the network namespace that the thread was in when it was opened; it stays there.
// One thread. Every call waits for the kernel, which answers netlink within the system call, and for ten seconds at
// most.
class NetlinkSocket {
 public:
  // NETLINK_ROUTE or NETLINK_NETFILTER.
  [[nodiscard]] static auto open(int protocol) -> Answer<NetlinkSocket>;

  // Sends the messages, up to 64 in one datagram; each is acknowledged by itself. The kernel goes on to the
  // end of a datagram after one that it refuses; the first refusal comes back, and no further one is sent.
  [[nodiscard]] auto send(std::vector<Message> messages) -> Answer<void>;
  [[nodiscard]] auto send(Message message) -> Answer<void>;
  // Calls `each` with the payload (after the netlink header) of every reply. A dump that the kernel says was
  // interrupted by a change (NLM_F_DUMP_INTR) begins again after `restart`, a few times.
  using Each = std::function<void(std::span<const std::uint8_t>)>;
  [[nodiscard]] auto ask(Message message, const Each& each) -> Answer<void>;
  [[nodiscard]] auto dump(const std::function<Message()>& make, const std::function<void()>& restart, const Each& each)
      -> Answer<void>;
  // An nfnetlink transaction: `messages` between BATCH_BEGIN and BATCH_END; all take effect or none does.
  [[nodiscard]] auto transact(std::vector<Message> messages) -> Answer<void>;

  [[nodiscard]] auto fd() const -> int { return fd_.get(); }

 private:
  explicit NetlinkSocket(Fd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] auto write(std::span<const std::uint8_t> datagram) -> Answer<void>;
  [[nodiscard]] auto read() -> Answer<std::span<const std::uint8_t>>;
  [[nodiscard]] auto await(std::uint32_t first, std::size_t count) -> Answer<void>;
  enum class End { done, interrupted };
  [[nodiscard]] auto replies(std::uint32_t sequence, const Each& each) -> Answer<End>;

  Fd fd_;
  std::uint32_t sequence_ = 1;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace weir::cni
