#include "record/connection.h"

#include <cerrno>

#include <algorithm>
#include <utility>

#include "record/pairing.h"

namespace weir::record {
namespace {

constexpr std::uint16_t lowest_ephemeral = 32768;  // of Linux; clients of others have ports above 49151
constexpr Nanos copies_come_within = std::chrono::milliseconds{2};
constexpr Nanos least_wait = std::chrono::milliseconds{1};  // shorter ones are no pauses: nobody asks for evidence
constexpr std::int64_t furthest_ack = std::int64_t{1} << 30;

}  // namespace

Connection::Connection(SessionNumber number, const TcpPacket& first, std::optional<Endpoint> server, Shared& shared,
                       Neighbours& neighbours)
    : number_(number),
      ends_{first.from, first.to},
      shared_(shared),
      neighbours_(neighbours),
      sides_{End(shared.held), End(shared.held)},
      began_(first.time),
      last_seen_(first.time),
      last_bytes_(first.time) {
  if (first.syn) {
    client_ = first.ack ? 1 : 0;
    decided_ = true;
  } else if (server) {
    client_ = first.from == *server ? 1 : 0;
    decided_ = true;
  }
}

Connection::~Connection() = default;

auto Connection::is_followed_by(const TcpPacket& packet) const -> bool {
  if (!packet.syn || packet.ack) return false;
  const End& from = sides_.at(packet.from == ends_[0] ? 0 : 1);
  return closed_ || from.syns == 0 || from.syn_sequence != packet.sequence;
}

void Connection::take(const TcpPacket& packet) {
  const unsigned side = packet.from == ends_[0] ? 0 : 1;
  End& from = sides_.at(side);
  last_seen_ = std::max(last_seen_, packet.time);
  if (is_copy(from, packet)) {
    ++shared_.copies;
    return;
  }
  if (closed_) return;
  from.was_seen = true;
  if (packet.rst) return take_reset(side, packet.time);
  if (packet.syn) return take_syn(side, packet);
  if (!from.sent.has_begun()) from.sent.begin(packet.sequence, packet.length > 0);
  if (saw_syn_ && !opened_ && (side == client_ || packet.length > 0)) open(packet.time);
  if (packet.ack) take_ack(side, packet);
  take_window(side, packet);
  if (packet.length > 0) take_data(side, packet, packet.sequence);
  if (packet.fin) take_fin(side, packet);
  const auto is_over = [](const End& end) { return end.fin && end.sent.next() >= end.fin_at; };
  if (!is_over(sides_[0]) || !is_over(sides_[1])) return;
  if (!accepted_) return end();
  close(first_fin_ == client_ ? event::CloseReason::client_fin : event::CloseReason::server_fin, packet.time);
}

void Connection::take_fin(unsigned side, const TcpPacket& packet) {
  End& from = sides_.at(side);
  if (from.fin) return;
  from.fin = true;
  if (!sides_.at(1 - side).fin) first_fin_ = side;
  const std::int64_t at = from.sent.offset_of(packet.sequence) + packet.length;
  from.fin_at = static_cast<std::uint64_t>(std::max<std::int64_t>(at, 0));
  if (accepted_) tell(event::HalfClosed{direction_of(side), {}}, packet.time);
}

auto Connection::is_copy(End& from, const TcpPacket& packet) const -> bool {
  for (const auto& [fingerprint, time] : from.last) {  // mutant: copies-taken-for-retransmissions
    if (fingerprint == packet.fingerprint && packet.time - time < copies_come_within && time <= packet.time &&
        time != MonoTime{}) {
      return true;
    }
  }
  from.last.at(from.last_at++ % remembered) = {packet.fingerprint, packet.time};
  return false;
}

// --- the connection ---

void Connection::take_syn(unsigned side, const TcpPacket& packet) {
  End& from = sides_.at(side);
  if (!decided_) {
    client_ = packet.ack ? 1 - side : side;
    decided_ = true;
  }
  saw_syn_ = true;
  if (++from.syns == 1) {
    from.sent.begin(packet.sequence + 1, true);
    from.syn_sequence = packet.sequence;
  }
  from.syn_at = packet.time;
  from.mss = packet.mss.value_or(0);
  from.scale = packet.window_scale.value_or(0);
  from.window = packet.window;
  accept(packet.time);
  End& peer = sides_.at(1 - side);
  if (packet.ack && peer.syns == 1 && from.syns == 1) from.round_trip = packet.time - peer.syn_at;
  if (packet.length > 0) take_data(side, packet, packet.sequence + 1);  // TCP fast open
}

void Connection::take_reset(unsigned side, MonoTime now) {
  if (!decided_) decide_client(1 - side);
  const bool is_server = side != client_;
  if (opened_ || !saw_syn_) {
    if (!accepted_) accept(now);
    return close(is_server ? event::CloseReason::server_reset : event::CloseReason::client_reset, now);
  }
  tell(std::make_shared<const event::ConnectTried>(event::ConnectTried{
           end_of(LegName::server).address(), {}, is_server ? ECONNREFUSED : ECONNABORTED, now - began_}),
       now);
  close(is_server ? event::CloseReason::connect_refused : event::CloseReason::connect_failed, now);
}

// Whoever listens has a port that is none of those that a system hands out; else whoever speaks first asks.
void Connection::decide_client(unsigned first_sender) {
  decided_ = true;
  const std::array<bool, 2> handed_out{ends_[0].port >= lowest_ephemeral, ends_[1].port >= lowest_ephemeral};
  const std::array<bool, 2> well_known{ends_[0].port < 1024, ends_[1].port < 1024};
  if (handed_out[0] != handed_out[1]) {
    client_ = handed_out[0] ? 0 : 1;
  } else if (well_known[0] != well_known[1]) {
    client_ = well_known[0] ? 1 : 0;
  } else {
    client_ = first_sender;
  }
}

void Connection::accept(MonoTime now) {
  if (std::exchange(accepted_, true)) return;
  tell(std::make_shared<const event::SessionAccepted>(
           event::SessionAccepted{end_of(LegName::client).address(), end_of(LegName::server).address()}),
       saw_syn_ ? began_ : now);  // of what was before the capture nobody knows whose time it was
}

void Connection::open(MonoTime now) {
  opened_ = true;
  accept(now);
  End& client = sides_.at(client_);
  End& server = sides_.at(1 - client_);
  const Address upstream = end_of(LegName::server).address();
  if (saw_syn_) {
    if (server.syns == 1 && server.syn_at <= now && client.round_trip == Nanos{})
      client.round_trip = now - server.syn_at;
    client.counts.again = client.syns > 1 ? client.syns - 1 : 0;
    server.counts.again = server.syns > 1 ? server.syns - 1 : 0;
    event::PacketEvidence packets = evidence(client_, now);
    packets.connects = client.syns;
    packets.accepts = server.syns;
    tell(std::make_shared<const event::PacketEvidence>(packets), now);
    tell(std::make_shared<const event::ConnectTried>(event::ConnectTried{upstream, {}, 0, now - began_}), now);
  }
  tell(std::make_shared<const event::SessionOpened>(
           event::SessionOpened{end_of(LegName::client).address(), upstream, saw_syn_ ? now - began_ : Nanos{}}),
       now);
  tell_counters({sides_[0].counts, sides_[1].counts}, now);
  remember_counts(now);
  last_bytes_ = now;
}

void Connection::close(event::CloseReason reason, MonoTime now) {
  if (std::exchange(closed_, true)) return;
  event::SessionClosed closed;
  closed.cause = {.reason = reason, .after = now - began_};
  closed.client = end_of(LegName::client).address();
  closed.upstream = end_of(LegName::server).address();
  closed.age = now - began_;
  for (const unsigned side : {0u, 1u}) closed.totals.at(index(direction_of(side))).bytes = sides_.at(side).sent.next();
  tell(std::make_shared<const event::SessionClosed>(std::move(closed)), now);
  neighbours_.on_end(*this);
}

void Connection::end() {
  if (closed_) return;
  if (!decided_) decide_client(0);
  accept(last_seen_);
  if (saw_syn_ && !opened_) {
    const End& client = sides_.at(client_);
    if (client.syns > 1 && sides_.at(1 - client_).syns == 0) {
      // Nobody answered: it is told as the time between the first and the last request.
      tell(std::make_shared<const event::ConnectTried>(
               event::ConnectTried{end_of(LegName::server).address(), {}, ETIMEDOUT, last_seen_ - began_}),
           last_seen_);
      event::PacketEvidence packets = evidence(client_, last_seen_);
      packets.connects = client.syns;
      tell(std::make_shared<const event::PacketEvidence>(packets), last_seen_);
      return close(event::CloseReason::connect_failed, last_seen_);
    }
  }
  close(event::CloseReason::shutdown, last_seen_);
}

// --- bytes ---

void Connection::take_ack(unsigned side, const TcpPacket& packet) {
  End& sender = sides_.at(1 - side);
  if (!sender.sent.has_begun()) return sender.sent.begin(packet.acknowledges, false);
  const std::int64_t offset = sender.sent.offset_of(packet.acknowledges);
  if (packet.first_sack) {
    const std::int64_t left = sender.sent.offset_of(packet.first_sack->first);
    if (left < offset && left >= 0) ++sender.counts.twice;
  }
  if (offset < 0 || offset > static_cast<std::int64_t>(sender.sent.next()) + furthest_ack) return;
  auto acknowledged = static_cast<std::uint64_t>(offset);
  if (sender.fin && acknowledged > sender.fin_at) acknowledged = sender.fin_at;
  if (acknowledged > sender.sent.next()) {
    const std::uint64_t missed = sender.sent.missed();
    sender.sent.skip_to(acknowledged, [&](std::span<const std::byte> bytes, std::uint32_t unseen) {
      deliver(1 - side, bytes, unseen, packet.time);
    });
    shared_.missed += sender.sent.missed() - missed;
    sender.timed_at.reset();
  }
  if (sender.timed_at && acknowledged >= sender.timed_end) {
    const Nanos took = std::max(packet.time - *std::exchange(sender.timed_at, std::nullopt), Nanos{1});
    Nanos& least = sides_.at(side).round_trip;
    if (least == Nanos{} || took < least) least = took;
  }
  if (acknowledged <= sender.acknowledged) return;
  sender.acknowledged = acknowledged;
  if (acknowledged == sender.sent.next()) sender.acknowledged_at = packet.time;
  if (accepted_ && contains(shared_.mask, event::EventKind::acknowledged)) {
    tell(event::Acknowledged{acknowledged, direction_of(1 - side)}, packet.time);
  }
}

void Connection::take_window(unsigned side, const TcpPacket& packet) {
  End& from = sides_.at(side);
  from.window = packet.window;
  if (packet.window == 0 && packet.ack) {
    if (!from.closed_at) from.closed_at = packet.time;
  } else if (from.closed_at) {
    from.counts.closed += std::max(packet.time - *std::exchange(from.closed_at, std::nullopt), Nanos{});
  }
}

void Connection::take_data(unsigned side, const TcpPacket& packet, std::uint32_t sequence) {
  End& from = sides_.at(side);
  ++from.counts.segments;
  const std::uint64_t begun_at = from.sent.next();
  const std::uint64_t missed = from.sent.missed();
  waited_behind_hole_ = from.sent.waiting();
  const SegmentStream::Kind kind = from.sent.take(
      sequence, packet.payload, packet.length,
      [&](std::span<const std::byte> bytes, std::uint32_t unseen) { deliver(side, bytes, unseen, packet.time); });
  waited_behind_hole_ = 0;
  shared_.missed += from.sent.missed() - missed;
  switch (kind) {
    case SegmentStream::Kind::again:
      if (from.sent.offset_of(sequence) + packet.length <= static_cast<std::int64_t>(from.acknowledged)) break;
      ++from.counts.again;  // its ACK has not passed
      from.last_again = packet.time;
      from.timed_at.reset();  // which of the two will be acknowledged, nobody knows (Karn)
      break;
    case SegmentStream::Kind::beyond_hole: ++from.counts.beyond_hole; break;
    case SegmentStream::Kind::in_order:
      if (!from.timed_at && from.sent.next() > begun_at) {
        from.timed_at = packet.time;
        from.timed_end = from.sent.next();
      }
      break;
    case SegmentStream::Kind::fills_hole:
    case SegmentStream::Kind::late:
    case SegmentStream::Kind::probe:
    case SegmentStream::Kind::nonsense: break;
  }
}

void Connection::deliver(unsigned side, std::span<const std::byte> bytes, std::uint32_t unseen, MonoTime now) {
  if (!decided_) decide_client(side);
  if (!opened_) open(now);
  End& from = sides_.at(side);
  const Direction direction = direction_of(side);
  const auto length = static_cast<std::uint32_t>(bytes.size()) + unseen;
  const bool begins = last_direction_ != direction;
  if (begins) message_ = 0;
  if (begins && direction == Direction::upstream) exchange_began_ = now;
  const auto relayed = neighbours_.on_bytes(*this, direction, bytes, message_, length, now);
  const bool waited = now - last_bytes_ >= least_wait;
  if (waited || waited_behind_hole_ > 0) {
    tell_counters({sides_[0].before, sides_[1].before}, last_bytes_);
    event::PacketEvidence packets = evidence(side, now);
    packets.relayed = relayed;
    tell(std::make_shared<const event::PacketEvidence>(packets), now);
  }
  const std::uint64_t end = from.sent.next();
  event::ChunkRead chunk{.bytes = shared_.blocks->copy(bytes),
                         .offset = end - length,
                         .kernel_time = now,
                         .direction = direction,
                         .uncopied = unseen};
  shared_.unseen += unseen;
  tell(std::move(chunk), now);
  if (waited) tell_counters({sides_[0].counts, sides_[1].counts}, now);
  tell(event::ChunkWritten{end, direction}, now);
  if (contains(shared_.mask, event::EventKind::sent)) tell(event::Sent{end, direction}, now);
  from.last_data = now;
  last_bytes_ = std::max(last_bytes_, now);
  last_direction_ = direction;
  message_ += length;
  waited_behind_hole_ = 0;
  remember_counts(now);
}

// --- evidence ---

auto Connection::closed_until(const End& end, MonoTime now) const -> Nanos {
  return end.counts.closed + (end.closed_at ? std::max(now - *end.closed_at, Nanos{}) : Nanos{});
}

void Connection::remember_counts(MonoTime now) {
  for (End& end : sides_) {
    end.before = end.counts;
    end.before.closed = closed_until(end, now);
  }
}

void Connection::tell_counters(const std::array<Counts, 2>& counts, MonoTime now) {
  if (!contains(shared_.mask, event::EventKind::leg_counters)) return;
  for (const unsigned side : {0u, 1u}) {
    const End& here = sides_.at(side);
    const End& there = sides_.at(1 - side);
    event::LegCounters leg;
    leg.leg = leg_of(side);
    leg.point = event::ProbePoint::asked;
    leg.send_mss = here.mss;
    leg.receive_mss = there.mss;
    leg.total_retransmits = counts.at(1 - side).again;
    leg.peer_window = std::uint32_t{here.window} << std::min<unsigned>(here.scale, 14);
    leg.data_segments_in = counts.at(side).segments;
    leg.data_segments_out = counts.at(1 - side).segments;
    leg.out_of_order_in = counts.at(side).beyond_hole;
    leg.bytes_acknowledged = there.acknowledged;
    leg.bytes_received = here.sent.next();
    leg.round_trip = leg.least_round_trip = here.round_trip;
    leg.window_limited = counts.at(side).closed;
    tell(std::make_shared<const event::LegCounters>(leg), now);
  }
}

auto Connection::evidence(unsigned side, MonoTime now) const -> event::PacketEvidence {
  const End& from = sides_.at(side);
  event::PacketEvidence packets;
  packets.direction = direction_of(side);
  packets.answers = sides_.at(1 - side).was_seen;
  // `from.sent` holds the chunk already, if there is one: what was before it is what was acknowledged in full.
  packets.acknowledged =
      from.acknowledged_at >= from.last_data && from.acknowledged_at <= now && from.last_data != MonoTime{};
  if (packets.acknowledged && from.acknowledged_at >= last_bytes_) {
    packets.ack_took = from.acknowledged_at - from.last_data;
    packets.left_after = now - from.acknowledged_at;
  }
  packets.waited_behind_hole = waited_behind_hole_;
  for (const unsigned each : {0u, 1u}) {
    const End& end = sides_.at(each);
    const unsigned direction = index(direction_of(each));
    packets.round_trip.at(index(leg_of(each))) = end.round_trip;
    packets.again.at(direction) = end.counts.again - end.before.again;
    if (end.last_again > last_bytes_) packets.again_after.at(direction) = end.last_again - last_bytes_;
    packets.twice.at(direction) = end.counts.twice - end.before.twice;
    packets.window_closed.at(index(leg_of(each))) = closed_until(end, now) - end.before.closed;
  }
  return packets;
}

void Connection::tell(event::What what, MonoTime now) {
  shared_.observer->on_event({now, ProxyId{}, number_, std::move(what)}, Nanos{});
}

}  // namespace weir::record
