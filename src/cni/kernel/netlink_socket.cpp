#include "cni/kernel/netlink_socket.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "cni/kernel/netlink_reply.h"
#include "cni/spec/waits.h"

namespace weir::cni {

namespace {

// A kernel reply is at most this large (rtnetlink(7): NLMSG_GOODSIZE; dumps use up to 32 KiB).
constexpr std::size_t reply_bytes = 65536;
constexpr int most_restarts = 10;
constexpr std::size_t most_at_once = 64;             // whose acknowledgements find room in a socket's buffer
constexpr std::size_t usual_send_bytes = 64 * 1024;  // well under net.core.wmem_default

}  // namespace

auto NetlinkSocket::open(int protocol) -> Answer<NetlinkSocket> {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return tl::unexpected(Refusal{errno, "netlink socket", 0});
  const int on = 1;
  const timeval longest{.tv_sec = longest_kernel_answer_s, .tv_usec = 0};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof(longest));
  // Sentences instead of bare numbers, and dumps that the kernel filters; old kernels do without.
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
  return NetlinkSocket(std::move(fd));
}

auto NetlinkSocket::write(std::span<const std::uint8_t> datagram) -> Answer<void> {
  while (::send(fd_.get(), datagram.data(), datagram.size(), 0) < 0) {
    if (errno != EINTR) return tl::unexpected(Refusal{errno, "netlink send", 0});
  }
  return {};
}

auto NetlinkSocket::read() -> Answer<std::span<const std::uint8_t>> {
  buffer_.resize(reply_bytes);
  while (true) {
    const auto n = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (n >= 0) return std::span<const std::uint8_t>(buffer_.data(), static_cast<std::size_t>(n));
    if (errno == EAGAIN) return tl::unexpected(Refusal{ETIMEDOUT, "the kernel did not answer", 0});
    if (errno != EINTR) return tl::unexpected(Refusal{errno, "netlink receive", 0});
  }
}

auto NetlinkSocket::await(std::uint32_t first, std::size_t count) -> Answer<void> {
  std::optional<Refusal> refused;
  for (std::size_t seen = 0; seen < count;) {
    auto datagram = read();
    if (!datagram) return tl::unexpected(datagram.error());
    while (const auto message = take_reply(*datagram)) {
      const auto number = message->header.nlmsg_seq - first;
      if (message->header.nlmsg_type != NLMSG_ERROR || number >= count) continue;
      ++seen;
      auto refusal = refusal_of(*message);
      refusal.message = number;
      if (refusal.code != 0 && !refused) refused = std::move(refusal);
    }
  }
  if (refused) return tl::unexpected(*refused);
  return {};
}

auto NetlinkSocket::send(std::vector<Message> messages) -> Answer<void> {
  for (std::size_t done = 0; done < messages.size();) {
    std::vector<std::uint8_t> datagram;
    const auto first = sequence_;
    const auto begin = done;
    while (done < messages.size() && done - begin < most_at_once && datagram.size() < usual_send_bytes) {
      const auto bytes = messages[done++].finish(sequence_++);
      datagram.insert(datagram.end(), bytes.begin(), bytes.end());
    }
    if (auto sent = write(datagram); !sent) return sent;
    if (auto taken = await(first, done - begin); !taken) {
      taken.error().message += begin;
      return taken;
    }
  }
  return {};
}

auto NetlinkSocket::send(Message message) -> Answer<void> {
  std::vector<Message> one;
  one.push_back(std::move(message));
  return send(std::move(one));
}

auto NetlinkSocket::replies(std::uint32_t sequence, const Each& each) -> Answer<End> {
  auto end = End::done;
  while (true) {
    auto datagram = read();
    if (!datagram) return tl::unexpected(datagram.error());
    while (const auto message = take_reply(*datagram)) {
      const auto& header = message->header;
      if (header.nlmsg_seq != sequence) continue;
      if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) end = End::interrupted;
      if (header.nlmsg_type == NLMSG_DONE) return end;
      if (header.nlmsg_type == NLMSG_ERROR) {
        auto refusal = refusal_of(*message);
        if (refusal.code != 0) return tl::unexpected(std::move(refusal));
        return end;
      }
      each(message->payload);
    }
  }
}

auto NetlinkSocket::ask(Message message, const Each& each) -> Answer<void> {
  const auto sequence = sequence_++;
  if (auto sent = write(message.finish(sequence)); !sent) return sent;
  auto end = replies(sequence, each);
  if (!end) return tl::unexpected(end.error());
  return {};
}

auto NetlinkSocket::dump(const std::function<Message()>& make, const std::function<void()>& restart, const Each& each)
    -> Answer<void> {
  for (int tries = 0; tries < most_restarts; ++tries) {
    const auto sequence = sequence_++;
    auto message = make();
    if (auto sent = write(message.finish(sequence)); !sent) return sent;
    auto end = replies(sequence, each);
    if (!end && end.error().code != EINTR) return tl::unexpected(end.error());
    if (end && *end == End::done) return {};
    restart();
  }
  return tl::unexpected(Refusal{EINTR, "the kernel's list changed while it was read, ten times over", 0});
}

auto NetlinkSocket::transact(std::vector<Message> messages) -> Answer<void> {
  if (messages.empty()) return {};
  const auto edge = [&](std::uint16_t type) {
    Message message(type, 0);
    message.put(nfgenmsg{.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)});
    return message;
  };
  std::vector<std::uint8_t> datagram;
  const auto append = [&](Message& message) {
    const auto bytes = message.finish(sequence_++);
    datagram.insert(datagram.end(), bytes.begin(), bytes.end());
  };
  auto begin = edge(NFNL_MSG_BATCH_BEGIN);
  const auto edge_sequence = sequence_;
  append(begin);
  const auto first = sequence_;
  // Of thousands of messages only the last is acknowledged, after all refusals: more would not find room in
  // the socket's buffer (some 280 acknowledgements by default), and the answer would be lost.
  for (auto& message : messages) {
    message.acknowledge(&message == &messages.back());
    append(message);
  }
  auto end = edge(NFNL_MSG_BATCH_END);
  append(end);
  if (datagram.size() > usual_send_bytes) {
    const int room = static_cast<int>(std::min<std::size_t>(datagram.size() * 2, INT32_MAX));
    (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
  }
  if (auto sent = write(datagram); !sent) return sent;
  // A refusal of the whole batch, such as EPERM, answers to its edge and is the only answer.
  std::optional<Refusal> refused;
  while (true) {
    auto received = read();
    if (!received) return tl::unexpected(received.error());
    while (const auto message = take_reply(*received)) {
      if (message->header.nlmsg_type != NLMSG_ERROR) continue;
      auto refusal = refusal_of(*message);
      if (message->header.nlmsg_seq == edge_sequence && refusal.code != 0) return tl::unexpected(std::move(refusal));
      refusal.message = message->header.nlmsg_seq - first;
      if (refusal.message >= messages.size()) continue;
      const bool is_last = refusal.message + 1 == messages.size();
      if (refusal.code != 0 && !refused) refused = std::move(refusal);
      if (!is_last) continue;
      if (refused) return tl::unexpected(*refused);
      return {};
    }
  }
}

}  // namespace weir::cni
