#include "proxy/leg_stamps.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "net/socket.h"

namespace weir::proxy {
namespace {

constexpr unsigned opt_id_tcp = 1U << 16;  // SOF_TIMESTAMPING_OPT_ID_TCP; Debian 12's header ends before it
// Numbers begin anew whenever this goes from off to on, and only then (Linux 6.18).
constexpr unsigned numbers = SOF_TIMESTAMPING_OPT_ID;

auto ask(int fd, unsigned flags) -> bool {
  return ::setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) == 0;
}

auto flags_for(const StampWishes& wishes) -> unsigned {
  if (!wishes.any()) return 0;
  // TSONLY: stamps come without a copy of the bytes, which would need a privilege.
  unsigned flags = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
  if (wishes.received) flags |= SOF_TIMESTAMPING_RX_SOFTWARE;
  if (wishes.sent) flags |= SOF_TIMESTAMPING_TX_SOFTWARE;
  if (wishes.acknowledged) flags |= SOF_TIMESTAMPING_TX_ACK;
  return flags;
}

template <class Content>
auto content_of(const cmsghdr& header) -> std::optional<Content> {
  if (header.cmsg_len < CMSG_LEN(sizeof(Content))) return std::nullopt;
  Content content;
  std::memcpy(&content, CMSG_DATA(&header), sizeof content);
  return content;
}

template <class Visit>
void each_control(msghdr& message, Visit visit) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    visit(std::as_const(*header));
  }
}

auto is_error(const cmsghdr& header) -> bool {
  return (header.cmsg_level == IPPROTO_IP && header.cmsg_type == IP_RECVERR) ||
         (header.cmsg_level == IPPROTO_IPV6 && header.cmsg_type == IPV6_RECVERR);
}

}  // namespace

void LegStamps::set(int fd, const StampWishes& wishes, std::uint64_t written) {
  // What was not told is where we are now: the offsets that follow are found from there.
  if (wishes.sent && !wishes_.sent) reached_[static_cast<std::size_t>(TransmitStamp::What::sent)] = written;
  if (wishes.acknowledged && !wishes_.acknowledged) {
    reached_[static_cast<std::size_t>(TransmitStamp::What::acknowledged)] = written;
  }
  wishes_ = wishes;
  const unsigned flags = flags_for(wishes);
  if (!wishes.sent && !wishes.acknowledged) {
    numbered_ = false;
    (void)ask(fd, flags);
  } else if (numbered_) {
    (void)ask(fd, flags | numbers | (best_ == NumbersFrom::next_write ? opt_id_tcp : 0));
  } else {
    numbered_ = begin_numbers(fd, flags, written);
    if (numbered_) reached_ = {written, written};
    if (!numbered_) (void)ask(fd, flags_for({.received = wishes.received}));
  }
}

auto LegStamps::begin_numbers(int fd, unsigned flags, std::uint64_t written) -> bool {
  base_ = written;  // mutant: stamps-count-from-nothing
  if (best_ == NumbersFrom::next_write) {
    if (ask(fd, flags | numbers | opt_id_tcp)) return true;
    if (errno != EINVAL) return false;
    best_ = NumbersFrom::oldest_unacknowledged;  // Linux before 6.2, or a connection that has ended
  }
  // An acknowledgement may come between the question and the setting. If the answer before and after is the same, none
  // has: only this thread writes. A busy connection may take a few attempts; without luck there are no stamps.
  for (int attempt = 0; attempt < 10; ++attempt) {
    const std::size_t unacknowledged = net::unsent_bytes(fd);
    if (!ask(fd, flags | numbers)) return false;
    // mutant: old-stamps-count-from-the-next-write
    base_ = written - unacknowledged;  // may lie before the stream's first byte: a handshake's answer
    if (net::unsent_bytes(fd) == unacknowledged) return true;
    if (!ask(fd, 0)) return false;
  }
  return false;
}

auto LegStamps::transmit_stamp(msghdr& notice) -> std::optional<TransmitStamp> {
  const auto time = kernel_time(notice);
  std::optional<sock_extended_err> error;
  each_control(notice, [&](const cmsghdr& header) {
    if (is_error(header)) error = content_of<sock_extended_err>(header);
  });
  if (!numbered_ || !time || !error) return std::nullopt;
  if (error->ee_errno != ENOMSG || error->ee_origin != SO_EE_ORIGIN_TIMESTAMPING) return std::nullopt;
  if (error->ee_info != SCM_TSTAMP_SND && error->ee_info != SCM_TSTAMP_ACK) return std::nullopt;
  const auto what = error->ee_info == SCM_TSTAMP_ACK ? TransmitStamp::What::acknowledged : TransmitStamp::What::sent;
  std::uint64_t& reached = reached_[static_cast<std::size_t>(what)];
  // Of the offset only the lowest 32 bits are known: it is the one nearest to the last.
  const auto low = static_cast<std::uint32_t>(base_ + error->ee_data + 1);
  const auto step = static_cast<std::int32_t>(low - static_cast<std::uint32_t>(reached));
  if (step < 0) return std::nullopt;
  reached += static_cast<std::uint32_t>(step);
  return TransmitStamp{.time = *time, .end_offset = reached, .what = what};
}

auto LegStamps::kernel_time(msghdr& message) -> std::optional<WallTime> {
  std::optional<WallTime> time;
  each_control(message, [&](const cmsghdr& header) {
    if (header.cmsg_level != SOL_SOCKET || header.cmsg_type != SCM_TIMESTAMPING) return;
    const auto stamps = content_of<scm_timestamping>(header);
    if (!stamps || (stamps->ts[0].tv_sec == 0 && stamps->ts[0].tv_nsec == 0)) return;
    time = WallTime{std::chrono::seconds{stamps->ts[0].tv_sec} + Nanos{stamps->ts[0].tv_nsec}};
  });
  return time;
}

}  // namespace weir::proxy
