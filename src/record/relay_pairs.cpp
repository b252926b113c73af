#include "record/relay_pairs.h"

#include <algorithm>
#include <cstring>

#include "record/pairing.h"

namespace weir::record {
namespace {

auto first_bytes(const Message& message) -> std::uint64_t {
  std::uint64_t first = 0;
  std::memcpy(&first, message.head.data(), sizeof first);
  return first;
}

}  // namespace

auto RelayPairs::Hash::operator()(const Host& host) const -> std::size_t {
  std::array<std::uint64_t, 2> words{};
  std::memcpy(words.data(), host.data(), sizeof words);
  return (words[0] ^ words[1] * 31) * 0x9e3779b97f4a7c15ULL >> 16;
}

auto RelayPairs::on_bytes(Connection& connection, Direction direction, std::span<const std::byte> bytes,
                          std::uint64_t offset, std::uint32_t length, MonoTime now) -> std::optional<event::Relayed> {
  if (connection.pairing == nullptr) connection.pairing = std::make_unique<Connection::Pairing>();
  Connection::Pairing& own = *connection.pairing;
  Message& message = own.messages.at(index(direction));
  message.add(bytes, offset, length, now);
  if (direction == Direction::upstream && offset == 0) on_request(connection);
  if (direction == Direction::downstream) own.answered = true;
  const Connection* source = direction == Direction::upstream ? own.outer : own.inner;
  if (source == nullptr) return std::nullopt;
  const Message& from = source->pairing->messages.at(index(direction));
  const bool is_late = direction == Direction::downstream && !source->pairing->answered;
  if (is_late || from.length < offset + length || !from.begins_like(message)) {
    part(connection);  // it did not come from there
    return std::nullopt;
  }
  const auto arrived = from.time_of(offset);
  if (!arrived) return std::nullopt;
  return event::Relayed{source->number(), source->exchange_began(), *arrived};
}

void RelayPairs::on_request(Connection& connection) {
  Connection::Pairing& own = *connection.pairing;
  ++own.request;
  own.answered = own.passed_on = false;
  Connection* outer = find_outer(connection);
  if (own.outer != nullptr && own.outer != outer) own.outer->pairing->inner = nullptr;
  own.outer = outer;
  if (outer != nullptr) {
    Connection::Pairing& its = *outer->pairing;
    if (its.inner != nullptr && its.inner != &connection) its.inner->pairing->outer = nullptr;
    its.inner = &connection;
    its.passed_on = true;
  }
  add_request(connection);
}

void RelayPairs::add_request(Connection& connection) {
  const Request request{first_bytes(connection.pairing->messages[0]), &connection, connection.pairing->request};
  Requests& requests = requests_[connection.end_of(LegName::server).ip];
  if (requests.ring.size() < most_at_host) return requests.ring.push_back(request);
  requests.ring[requests.at++ % most_at_host] = request;
}

auto RelayPairs::find_outer(const Connection& inner) const -> Connection* {
  const auto requests = requests_.find(inner.end_of(LegName::client).ip);
  if (requests == requests_.end()) return nullptr;
  const Message& request = inner.pairing->messages[0];
  const std::uint64_t head = first_bytes(request);
  Connection* found = nullptr;
  for (const Request& each : requests->second.ring) {
    if (each.head != head || each.connection == nullptr || each.connection == &inner) continue;
    Connection& outer = *each.connection;
    const Connection::Pairing& its = *outer.pairing;
    if (each.number != its.request || its.answered || (its.passed_on && its.inner != &inner)) continue;
    // To one and the same service it is another client, not a relay.
    if (outer.end_of(LegName::server) == inner.end_of(LegName::server)) continue;
    const Message& came = its.messages[0];
    if ((std::min(came.known, request.known) < least && came.known != request.known) || !came.begins_like(request)) {
      continue;
    }
    if (&outer == inner.pairing->outer) return &outer;
    if (found != nullptr) return nullptr;  // which of them, the bytes do not say
    found = &outer;
  }
  return found;
}

void RelayPairs::part(Connection& connection) {
  Connection::Pairing& own = *connection.pairing;
  if (own.outer != nullptr) std::exchange(own.outer, nullptr)->pairing->inner = nullptr;
  if (own.inner != nullptr) std::exchange(own.inner, nullptr)->pairing->outer = nullptr;
}

void RelayPairs::on_end(Connection& connection) {
  if (connection.pairing == nullptr) return;
  part(connection);
  if (const auto requests = requests_.find(connection.end_of(LegName::server).ip); requests != requests_.end()) {
    auto& ring = requests->second.ring;
    bool is_left = false;
    for (Request& each : ring) {
      if (each.connection == &connection) each.connection = nullptr;
      is_left = is_left || each.connection != nullptr;
    }
    if (!is_left) requests_.erase(requests);
  }
  connection.pairing.reset();
}

}  // namespace weir::record
