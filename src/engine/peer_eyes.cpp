#include "engine/peer_eyes.h"

#include <memory>
#include <utility>

#include "base/clock.h"
#include "net/peer_socket.h"
#include "net/socket_owner.h"

namespace weir::engine {
namespace {

using diagnose::PeerProcess;
using diagnose::PeerState;

auto kind_of(net::TcpState state) -> PeerState::Kind {
  switch (state) {
    case net::TcpState::established:
    case net::TcpState::close_wait: return PeerState::Kind::connected;
    case net::TcpState::syn_sent:
    case net::TcpState::syn_received: return PeerState::Kind::opening;
    case net::TcpState::listening: return PeerState::Kind::listening;
    case net::TcpState::fin_wait1:
    case net::TcpState::fin_wait2:
    case net::TcpState::time_wait:
    case net::TcpState::closed:
    case net::TcpState::last_ack:
    case net::TcpState::closing: break;
  }
  return PeerState::Kind::other;
}

auto process_of(const net::ProcessState& process) -> PeerProcess {
  return {.pid = process.pid,
          .threads = process.threads,
          .is_stopped = process.state == 'T' || process.state == 't',
          .cpu_wait = process.cpu_wait};
}

// The address at which a socket of the same family listens or connects from anywhere.
auto anywhere(const Address& like) -> Address {
  Address::Ip any;
  any.v6 = like.family() == AF_INET6;
  return Address(any);
}

class Eyes {
 public:
  explicit Eyes(net::PeerSockets sockets) : sockets_(std::move(sockets)) {}

  auto look(const event::LegAddresses& leg) -> std::optional<PeerState> {
    const bool wants_listener = leg.local.port() == 0;
    const auto found = find(leg.peer, wants_listener ? anywhere(leg.peer) : leg.local);
    if (!found) return std::nullopt;
    PeerState state{.kind = kind_of(found->state),
                    .timer = found->timer,
                    .retransmits = found->retransmits,
                    .receive_queue = found->receive_queue,
                    .send_queue = found->send_queue,
                    .inode = found->inode,
                    .unacknowledged = found->unacknowledged,
                    .unsent_bytes = found->unsent_bytes,
                    .send_mss = found->send_mss,
                    .congestion_window = found->congestion_window,
                    .peer_window = found->peer_window,
                    .selectively_acked = found->selectively_acked,
                    .backoff = found->backoff,
                    .timer_left = found->timer_left,
                    .retransmit_timeout = found->retransmit_timeout,
                    .owner = found->inode};
    const bool is_connection = state.kind == PeerState::Kind::connected || state.kind == PeerState::Kind::opening;
    if (is_connection && state.inode == 0) {
      const auto listener = find(leg.peer, anywhere(leg.peer));
      if (listener && listener->state == net::TcpState::listening) {
        state.accept_queue = listener->receive_queue;
        state.accept_limit = listener->send_queue;
        state.owner = listener->inode;
      }
    }
    return state;
  }

  auto owner(std::uint32_t inode) -> std::optional<PeerProcess> {
    const auto process = owners_.find(inode, SystemClock::instance().mono());
    return process ? std::optional(process_of(*process)) : std::nullopt;
  }

  [[nodiscard]] static auto process(std::uint32_t pid) -> std::optional<PeerProcess> {
    const auto process = net::SocketOwners::state_of(pid);
    return process ? std::optional(process_of(*process)) : std::nullopt;
  }

 private:
  // An error of one look-up is as good as not having seen the socket.
  auto find(const Address& own, const Address& peer) -> std::optional<net::PeerSocket> {
    auto found = sockets_.find(own, peer);
    return found ? *found : std::nullopt;
  }

  net::PeerSockets sockets_;
  net::SocketOwners owners_;
};

}  // namespace

auto open_peer_eyes() -> diagnose::PeerEyes {
  auto sockets = net::PeerSockets::open();
  if (!sockets) return {};
  const auto eyes = std::make_shared<Eyes>(*std::move(sockets));
  return {.now = [] { return SystemClock::instance().mono(); },
          .is_here = net::is_local,
          .look = [eyes](const event::LegAddresses& leg) { return eyes->look(leg); },
          .owner = [eyes](std::uint32_t inode) { return eyes->owner(inode); },
          .process = Eyes::process};
}

}  // namespace weir::engine
