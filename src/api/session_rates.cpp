#include "api/session_rates.h"

namespace weir::api {

void SessionRates::look(const engine::SessionList& list, MonoTime now) {
  now_ = now;
  if (next_ && now - next_->at < shortest) return;
  auto look = std::make_shared<Look>();
  look->at = now;
  for (const auto& session : list.sessions) {
    // By proxy and number, as the list is: each comes at the end.
    look->bytes.emplace_hint(look->bytes.end(), std::pair(session.proxy, session.number),
                             std::array{session.totals[0].bytes, session.totals[1].bytes});
  }
  base_ = std::exchange(next_, std::move(look));
}

auto SessionRates::of(const engine::SessionInfo& session) const -> std::optional<Rate> {
  if (!base_ || now_ - base_->at > longest || session.age <= Nanos{0}) return std::nullopt;
  std::array<std::uint64_t, 2> begun{};
  Nanos time = session.age;
  if (session.age > now_ - base_->at) {
    const auto found = base_->bytes.find({session.proxy, session.number});
    if (found == base_->bytes.end()) return std::nullopt;
    begun = found->second;
    time = now_ - base_->at;
  }
  const auto rate = [&](Direction direction) {
    const auto bytes = session.totals[index(direction)].bytes;
    return static_cast<double>(bytes - std::min(bytes, begun[index(direction)])) /
           std::chrono::duration<double>(time).count();
  };
  return Rate{.upstream = rate(Direction::upstream), .downstream = rate(Direction::downstream)};
}

}  // namespace weir::api
