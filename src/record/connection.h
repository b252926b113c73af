// One TCP connection of a capture, told as a session: as if a relay without any delay of its own stood where the
// packets were captured. What it reads and writes has the time of the packet.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "event/event.h"
#include "record/packet.h"
#include "record/segment_stream.h"

namespace weir::record {

// What all connections of a reader share.
struct Shared {
  event::Observer* observer = nullptr;
  event::EventMask mask = 0;
  BlockPool* blocks = nullptr;
  HeldBytes held{};
  std::uint64_t copies = 0;  // packets that were captured before, on another interface
  std::uint64_t missed = 0;  // bytes that were sent and not captured
  std::uint64_t unseen = 0;  // bytes that were captured by their length alone
};

class Connection {
 public:
  // Hears of bytes before the observer does, and may say that a relay passed them on.
  class Neighbours {
   public:
    virtual ~Neighbours() = default;
    // offset: of the first of the bytes, in the message (of one direction, until the other one sends).
    virtual auto on_bytes(Connection& connection, Direction direction, std::span<const std::byte> bytes,
                          std::uint64_t offset, std::uint32_t length, MonoTime now)
        -> std::optional<event::Relayed> = 0;
    // It will not be heard of again.
    virtual void on_end(Connection& connection) = 0;
  };

  // first: its first packet, which is to be taken then. `server`: that one of both ends is known to be one.
  Connection(SessionNumber number, const TcpPacket& first, std::optional<Endpoint> server, Shared& shared,
             Neighbours& neighbours);
  ~Connection();
  Connection(const Connection&) = delete;
  auto operator=(const Connection&) -> Connection& = delete;

  void take(const TcpPacket& packet);
  // Its last packet has come; what is open ends.
  void end();

  // A SYN of a later connection between the same ends, which begins anew.
  [[nodiscard]] auto is_followed_by(const TcpPacket& packet) const -> bool;
  [[nodiscard]] auto is_closed() const -> bool { return closed_; }
  [[nodiscard]] auto number() const -> SessionNumber { return number_; }
  [[nodiscard]] auto last_seen() const -> MonoTime { return last_seen_; }
  // Of the end that is the client, the server; as it is guessed where it is not known.
  [[nodiscard]] auto end_of(LegName leg) const -> const Endpoint& { return ends_.at(side_of(leg)); }
  [[nodiscard]] auto knows_server() const -> bool { return saw_syn_; }
  [[nodiscard]] auto exchange_began() const -> MonoTime { return exchange_began_; }

  // Of whoever pairs connections; see RelayPairs.
  struct Pairing;
  std::unique_ptr<Pairing> pairing;

 private:
  // What is counted of one end's packets; those of a wait are the difference of two.
  struct Counts {
    std::uint32_t segments = 0;  // with data
    std::uint32_t again = 0;
    std::uint32_t beyond_hole = 0;
    std::uint32_t twice = 0;  // DSACKs about its bytes
    Nanos closed{};           // its receive window was 0
  };
  static constexpr std::size_t remembered = 8;
  struct End {
    explicit End(HeldBytes& held) : sent(held) {}
    SegmentStream sent;
    std::uint64_t acknowledged = 0;  // of `sent`, by the other end
    MonoTime acknowledged_at{};      // all of it, the last time that it was all
    MonoTime last_data{};
    MonoTime last_again{};
    Counts counts;
    Counts before;                      // as it was when bytes last came, of either
    std::optional<MonoTime> closed_at;  // its window is 0 since then
    Nanos round_trip{};                 // from the capture point to it and back, the least; 0: unknown
    std::uint64_t timed_end = 0;        // of `sent`: when its ACK comes, that is a round trip of the other
    std::optional<MonoTime> timed_at;
    std::uint32_t syns = 0;
    std::uint32_t syn_sequence = 0;
    MonoTime syn_at{};  // the last
    std::uint16_t mss = 0;
    std::uint8_t scale = 0;
    std::uint16_t window = 0;
    bool fin = false;
    std::uint64_t fin_at = 0;  // its place in `sent`
    bool was_seen = false;     // a packet of it
    // The last packets, to know copies by.
    std::array<std::pair<std::uint32_t, MonoTime>, remembered> last{};
    std::size_t last_at = 0;
  };

  [[nodiscard]] auto side_of(LegName leg) const -> unsigned { return leg == LegName::client ? client_ : 1 - client_; }
  [[nodiscard]] auto leg_of(unsigned side) const -> LegName {
    return side == client_ ? LegName::client : LegName::server;
  }
  [[nodiscard]] auto direction_of(unsigned side) const -> Direction { return direction_from(leg_of(side)); }

  [[nodiscard]] auto is_copy(End& from, const TcpPacket& packet) const -> bool;
  void take_syn(unsigned side, const TcpPacket& packet);
  void take_reset(unsigned side, MonoTime now);
  void take_fin(unsigned side, const TcpPacket& packet);
  void take_ack(unsigned side, const TcpPacket& packet);
  void take_window(unsigned side, const TcpPacket& packet);
  void take_data(unsigned side, const TcpPacket& packet, std::uint32_t sequence);
  void deliver(unsigned side, std::span<const std::byte> bytes, std::uint32_t unseen, MonoTime now);
  void decide_client(unsigned first_sender);
  void accept(MonoTime now);
  void open(MonoTime now);
  void close(event::CloseReason reason, MonoTime now);

  [[nodiscard]] auto closed_until(const End& end, MonoTime now) const -> Nanos;
  void remember_counts(MonoTime now);
  void tell_counters(const std::array<Counts, 2>& counts, MonoTime now);
  [[nodiscard]] auto evidence(unsigned side, MonoTime now) const -> event::PacketEvidence;
  void tell(event::What what, MonoTime now);

  SessionNumber number_;
  std::array<Endpoint, 2> ends_;
  Shared& shared_;
  Neighbours& neighbours_;
  std::array<End, 2> sides_;
  unsigned client_ = 0;
  unsigned first_fin_ = 0;
  bool decided_ = false;
  bool saw_syn_ = false;
  bool accepted_ = false;
  bool opened_ = false;
  bool closed_ = false;
  MonoTime began_;
  MonoTime last_seen_;
  MonoTime last_bytes_;  // of either direction, or since then
  MonoTime exchange_began_{};
  std::optional<Direction> last_direction_;
  std::uint64_t message_ = 0;             // bytes of the last direction, since the other one sent
  std::uint64_t waited_behind_hole_ = 0;  // of the segment that is being delivered
};

}  // namespace weir::record
