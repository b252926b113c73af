// Room record/, floor 6: captures of packets, read as the events of sessions, so that what reads a live session reads a
// file as well; beside them, what only packets show (event/packet_evidence.h). libpcap stays in here. It includes
// base/ and event/ only, and runs on its caller's thread. Start with this file, then connection.h (a TCP connection
// becomes a session), segment_stream.h (bytes in order), packet.h (headers), capture_file.h (files).
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "record/connection.h"
#include "record/packet.h"
#include "record/relay_pairs.h"

namespace weir::record {

// What was read.
struct CaptureCounts {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;      // of the packets, as they were on the wire
  std::uint64_t not_tcp = 0;    // packets of other protocols
  std::uint64_t fragments = 0;  // packets that were part of an IP datagram, and are not put together
  std::uint64_t cut = 0;        // packets whose headers are not whole in the capture
  std::uint64_t copies = 0;     // packets that were captured on another interface before
  std::uint64_t missed = 0;     // bytes that were sent, as their ACK shows, and not captured
  std::uint64_t unseen = 0;     // bytes of which only the length was captured, the missed ones included
  std::uint64_t evicted = 0;    // connections given up for want of room, the longest idle ones
};

// Takes packets in the order of their times and tells sessions. Bounded: so many connections, and what waits for
// earlier bytes (SegmentStream). The observer outlives it.
class CaptureReader {
 public:
  static constexpr std::size_t most_connections = 16'384;

  // mask: the kinds of events that the observer wants; of a kind without evidence all are told.
  CaptureReader(event::Observer& observer, event::EventMask mask, std::size_t connections = most_connections);
  ~CaptureReader();

  void take(Link link, MonoTime time, std::span<const std::byte> bytes, std::size_t wire_length);
  // Ends all sessions that are open.
  void end();
  [[nodiscard]] auto counts() const -> CaptureCounts;

 private:
  using Ends = std::pair<Endpoint, Endpoint>;  // the smaller one first
  struct Hash {
    auto operator()(const Ends& ends) const -> std::size_t;
    auto operator()(const Endpoint& end) const -> std::size_t;
  };
  struct Place;
  using Idle = std::list<Place*>;  // the longest idle first
  struct Place {
    Place(const Ends& between, std::unique_ptr<Connection> that) : ends(between), connection(std::move(that)) {}
    Ends ends;
    std::unique_ptr<Connection> connection;
    bool over = false;  // it stands in over_
    Idle::iterator at;
  };

  void take_tcp(const TcpPacket& packet);
  auto find_place(const TcpPacket& packet) -> Place*;
  auto make_connection(const TcpPacket& packet) -> std::unique_ptr<Connection>;
  void make_room();
  void touch(Place& place);

  std::size_t most_;
  BlockPool blocks_;
  Shared shared_;
  RelayPairs pairs_;
  CaptureCounts counts_;
  std::uint64_t sessions_ = 0;
  std::unordered_map<Ends, Place, Hash> places_;
  std::unordered_set<Endpoint, Hash> servers_;  // ends that were seen to accept a connection, at most most_
  Idle open_;
  Idle over_;
};

}  // namespace weir::record
