// The two connections of a relay that a capture holds both: what came in on one (the outer) goes out on the other (the
// inner) a moment later, and its answer comes back the same way. Found for each request by the relay's address and by
// the bytes; where those are changed on the way, or fit several, nothing is found.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "record/connection.h"

namespace weir::record {

class RelayPairs final : public Connection::Neighbours {
 public:
  static constexpr std::size_t least = 8;          // bytes: shorter requests have to be alike as a whole
  static constexpr std::size_t most_at_host = 64;  // the last requests at one relay, which may still be passed on

  auto on_bytes(Connection& connection, Direction direction, std::span<const std::byte> bytes, std::uint64_t offset,
                std::uint32_t length, MonoTime now) -> std::optional<event::Relayed> override;
  void on_end(Connection& connection) override;

 private:
  using Host = std::array<std::uint8_t, 16>;
  struct Hash {
    auto operator()(const Host& host) const -> std::size_t;
  };
  struct Request {
    std::uint64_t head = 0;  // the first bytes, to look at few closely
    Connection* connection = nullptr;
    std::uint64_t number = 0;  // of it: the request may be over
  };
  struct Requests {
    std::vector<Request> ring;
    std::size_t at = 0;
  };

  void on_request(Connection& connection);
  void add_request(Connection& connection);
  // Which request that came in at `inner`'s host does its own go on with?
  [[nodiscard]] auto find_outer(const Connection& inner) const -> Connection*;
  static void part(Connection& connection);

  std::unordered_map<Host, Requests, Hash> requests_;  // by the address of the server
};

}  // namespace weir::record
