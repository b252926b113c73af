#include "net/peer_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

namespace weir::net {
namespace {

struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

auto request_for(const Address::Ip& own, const Address::Ip& peer, std::uint32_t sequence) -> Request {
  Request request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.header.nlmsg_seq = sequence;
  request.body.sdiag_family = static_cast<std::uint8_t>(own.v6 ? AF_INET6 : AF_INET);
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_ext = 1 << (INET_DIAG_INFO - 1);
  request.body.idiag_states = ~std::uint32_t{0};
  inet_diag_sockid& id = request.body.id;
  id.idiag_sport = ::htons(own.port);
  id.idiag_dport = ::htons(peer.port);
  std::memcpy(static_cast<void*>(id.idiag_src), own.bytes.data(), own.bytes.size());
  std::memcpy(static_cast<void*>(id.idiag_dst), peer.bytes.data(), peer.bytes.size());
  id.idiag_if = own.scope;
  id.idiag_cookie[0] = id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return request;
}

template <class T>
auto read_at(std::span<const std::byte> bytes, std::size_t offset) -> T {
  T value{};
  if (offset >= bytes.size()) return value;  // an older kernel tells less of it
  std::memcpy(&value, bytes.data() + offset, std::min(sizeof value, bytes.size() - offset));
  return value;
}

// The attributes behind the fixed part: TCP_INFO is one of them.
void add_tcp_info(PeerSocket& socket, std::span<const std::byte> attributes) {
  while (attributes.size() >= sizeof(nlattr)) {
    const auto attribute = read_at<nlattr>(attributes, 0);
    if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > attributes.size()) return;
    if (attribute.nla_type == INET_DIAG_INFO) {
      const auto info = read_at<tcp_info>(attributes.subspan(0, attribute.nla_len), sizeof(nlattr));
      socket.unacknowledged = info.tcpi_unacked;
      socket.unsent_bytes = info.tcpi_notsent_bytes;
      socket.send_mss = info.tcpi_snd_mss;
      socket.congestion_window = info.tcpi_snd_cwnd;
      socket.peer_window = info.tcpi_snd_wnd;
      socket.selectively_acked = info.tcpi_sacked;
      socket.backoff = info.tcpi_backoff;
      socket.retransmit_timeout = std::chrono::microseconds{info.tcpi_rto};
    }
    attributes = attributes.subspan(std::min<std::size_t>(NLA_ALIGN(attribute.nla_len), attributes.size()));
  }
}

auto socket_of(std::span<const std::byte> message) -> PeerSocket {
  const auto said = read_at<inet_diag_msg>(message, 0);
  PeerSocket socket{.state = static_cast<TcpState>(said.idiag_state),
                    .timer = said.idiag_timer,
                    .retransmits = said.idiag_retrans,
                    .receive_queue = said.idiag_rqueue,
                    .send_queue = said.idiag_wqueue,
                    .inode = said.idiag_inode,
                    .timer_left = std::chrono::milliseconds{said.idiag_expires}};
  if (socket.state == TcpState::listening) return socket;
  // The peer's FIN counts as a byte until it is read.
  if (socket.state == TcpState::close_wait && socket.receive_queue > 0) --socket.receive_queue;
  add_tcp_info(socket, message.subspan(std::min(message.size(), sizeof said)));
  return socket;
}

auto cannot_look(int code) -> Failure {
  return failure(fmt::format("cannot look at another process's socket (sock_diag): {}", errno_text(code)), code);
}

}  // namespace

auto PeerSockets::open() -> Result<PeerSockets> {
  Fd netlink(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!netlink) return cannot_look(errno);
  return PeerSockets(std::move(netlink));
}

auto PeerSockets::find(const Address& own, const Address& peer) -> Result<std::optional<PeerSocket>> {
  const auto* const here = own.ip();
  const auto* const there = peer.ip();
  if (here == nullptr || there == nullptr || here->v6 != there->v6) return std::optional<PeerSocket>();
  const Request request = request_for(*here, *there, ++sequence_);
  if (::send(netlink_.get(), &request, sizeof request, 0) < 0) return cannot_look(errno);
  alignas(nlmsghdr) std::array<std::byte, 4096> buffer{};
  // The answer is there when send(2) returns. One to an earlier question, which was not taken, may stand before it.
  while (true) {
    const ssize_t got = ::recv(netlink_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot_look(errno);
    const auto bytes = std::span<const std::byte>(buffer).first(static_cast<std::size_t>(got));
    const auto header = read_at<nlmsghdr>(bytes, 0);
    if (bytes.size() < sizeof header || header.nlmsg_seq != sequence_) continue;
    if (header.nlmsg_type == NLMSG_ERROR) {
      const int code = -read_at<nlmsgerr>(bytes, sizeof header).error;
      if (code == ENOENT) return std::optional<PeerSocket>();
      return cannot_look(code);
    }
    return std::optional(socket_of(bytes.subspan(sizeof header)));
  }
}

auto is_local(const Address& address) -> bool {
  const auto* const ip = address.ip();
  if (ip == nullptr) return false;
  Address::Ip any_port = *ip;
  any_port.port = 0;
  sockaddr_storage storage{};
  const socklen_t length = Address(any_port).to_sockaddr(storage);
  const Fd probe(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return probe && ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0;
}

}  // namespace weir::net
