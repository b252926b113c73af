#include "record/capture_reader.h"

#include <algorithm>
#include <cstring>

namespace weir::record {
namespace {

auto mixed(std::uint64_t hash, std::uint64_t word) -> std::uint64_t {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
  return hash ^ hash >> 29;
}

}  // namespace

auto CaptureReader::Hash::operator()(const Endpoint& end) const -> std::size_t {
  std::array<std::uint64_t, 2> words{};
  std::memcpy(words.data(), end.ip.data(), sizeof words);
  return mixed(mixed(mixed(end.port, words[0]), words[1]), end.v6 ? 1 : 0);
}

auto CaptureReader::Hash::operator()(const Ends& ends) const -> std::size_t {
  return mixed((*this)(ends.first), (*this)(ends.second));
}

CaptureReader::CaptureReader(event::Observer& observer, event::EventMask mask, std::size_t connections)
    : most_(std::max<std::size_t>(connections, 1)) {
  shared_.observer = &observer;
  shared_.mask = mask;
  shared_.blocks = &blocks_;
}

CaptureReader::~CaptureReader() { places_.clear(); }

void CaptureReader::take(Link link, MonoTime time, std::span<const std::byte> bytes, std::size_t wire_length) {
  ++counts_.packets;
  counts_.bytes += std::max(wire_length, bytes.size());
  auto packet = read_packet(link, bytes, wire_length);
  if (packet) {
    packet->time = time;
    return take_tcp(*packet);
  }
  switch (packet.error()) {
    case NotTcp::other: ++counts_.not_tcp; break;
    case NotTcp::fragment: ++counts_.fragments; break;
    case NotTcp::cut: ++counts_.cut; break;
  }
}

void CaptureReader::take_tcp(const TcpPacket& packet) {
  Place* place = find_place(packet);
  if (place == nullptr) return;
  place->connection->take(packet);
  touch(*place);
}

auto CaptureReader::find_place(const TcpPacket& packet) -> Place* {
  const Ends ends = packet.from < packet.to ? Ends{packet.from, packet.to} : Ends{packet.to, packet.from};
  if (const auto found = places_.find(ends); found != places_.end()) {
    Place& place = found->second;
    if (!place.connection->is_followed_by(packet)) return &place;
    place.connection->end();
    place.connection = make_connection(packet);
    return &place;
  }
  if (packet.rst) return nullptr;  // of a connection that nothing else was seen of
  make_room();
  Place& place = places_.try_emplace(ends, ends, make_connection(packet)).first->second;
  place.at = open_.insert(open_.end(), &place);
  return &place;
}

auto CaptureReader::make_connection(const TcpPacket& packet) -> std::unique_ptr<Connection> {
  std::optional<Endpoint> server;
  if (packet.syn) {
    if (servers_.size() < most_) servers_.insert(packet.ack ? packet.from : packet.to);
  } else {
    const bool from = servers_.contains(packet.from);
    const bool to = servers_.contains(packet.to);
    if (from != to) server = from ? packet.from : packet.to;
  }
  return std::make_unique<Connection>(SessionNumber{++sessions_}, packet, server, shared_, pairs_);
}

void CaptureReader::make_room() {
  if (places_.size() < most_) return;
  const bool is_over = !over_.empty();
  Place& place = is_over ? *over_.front() : *open_.front();
  if (!is_over) {
    ++counts_.evicted;
    place.connection->end();
  }
  (is_over ? over_ : open_).erase(place.at);
  const Ends ends = place.ends;
  places_.erase(ends);
}

void CaptureReader::touch(Place& place) {
  const bool over = place.connection->is_closed();
  Idle& to = over ? over_ : open_;
  to.splice(to.end(), place.over ? over_ : open_, place.at);
  place.over = over;
}

void CaptureReader::end() {
  while (!open_.empty()) {
    Place& place = *open_.front();
    place.connection->end();
    touch(place);
  }
}

auto CaptureReader::counts() const -> CaptureCounts {
  CaptureCounts counts = counts_;
  counts.copies = shared_.copies;
  counts.missed = shared_.missed;
  counts.unseen = shared_.unseen;
  return counts;
}

}  // namespace weir::record
