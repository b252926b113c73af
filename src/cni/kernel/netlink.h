#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "base/fd.h"

namespace weir::cni {

// What the kernel refused: an errno, and the extended ACK's sentence if it gave one.
struct Refusal {
  int code = 0;
  std::string said;
  std::size_t message = 0;  // which message of a batch
  [[nodiscard]] auto words() const -> std::string;
};
template <class T>
using Answer = tl::expected<T, Refusal>;

// One netlink message being written: a header, a fixed struct, then attributes (netlink(7), rtnetlink(7)).
class Message {
 public:
  // NLM_F_REQUEST is added to `flags`.
  Message(std::uint16_t type, std::uint16_t flags);

  template <class T>
  auto put(const T& fixed) -> Message& {
    append(&fixed, sizeof(fixed));
    return *this;
  }
  auto bytes(std::uint16_t type, std::span<const std::uint8_t> value) -> Message&;
  auto text(std::uint16_t type, std::string_view value) -> Message&;  // with its terminating zero
  template <class T>
  auto number(std::uint16_t type, T value) -> Message& {
    std::uint8_t raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    return bytes(type, raw);
  }
  // Attributes written inside `inner` become the value of an attribute of `type`.
  template <class Inner>
  auto nest(std::uint16_t type, Inner inner) -> Message& {
    const auto at = begin(type);
    inner(*this);
    end(at);
    return *this;
  }

  // The finished message; `sequence` is put into its header.
  auto finish(std::uint32_t sequence) -> std::span<const std::uint8_t>;
  // Whether the kernel is to say that it took the message (NLM_F_ACK); a refusal is said in any case.
  auto acknowledge(bool wanted) -> void;

 private:
  auto append(const void* data, std::size_t size) -> void;
  auto begin(std::uint16_t type) -> std::size_t;
  auto end(std::size_t at) -> void;

  std::vector<std::uint8_t> bytes_;
};

// The attributes of a message or of an attribute. Views into the buffer they were made of.
class Attributes {
 public:
  explicit Attributes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] auto find(std::uint16_t type) const -> std::optional<std::span<const std::uint8_t>>;
  [[nodiscard]] auto text(std::uint16_t type) const -> std::string;   // "" if absent
  [[nodiscard]] auto nested(std::uint16_t type) const -> Attributes;  // empty if absent
  template <class T>
  [[nodiscard]] auto number(std::uint16_t type) const -> std::optional<T> {
    const auto found = find(type);
    if (!found || found->size() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, found->data(), sizeof(T));
    return value;
  }
  // Calls `each(type, value)` for all of them.
  template <class Each>
  auto for_each(Each each) const -> void {
    auto rest = bytes_;
    while (const auto one = take(rest)) each(one->type, one->value);
  }

 private:
  struct One {
    std::uint16_t type;
    std::span<const std::uint8_t> value;
  };
  static auto take(std::span<const std::uint8_t>& rest) -> std::optional<One>;
  std::span<const std::uint8_t> bytes_;
};

// A netlink socket in the network namespace that the thread was in when it was opened; it stays there.
// One thread. Every call waits for the kernel, which answers netlink within the system call.
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
