// What a session tells its observers of its life; what passes through it is told by its pumps.
#include <algorithm>
#include <cerrno>

#include "net/socket.h"
#include "proxy/worker.h"

namespace weir::proxy {

using event::EventKind;

namespace {

// Unknown where the kernel does not say, as of a connection that is gone.
auto local_address(const LegEnd& end) -> Address {
  auto address = net::local_address(end.fd());
  return address ? *std::move(address) : Address();
}

auto peer_address(const LegEnd& end) -> Address {
  auto address = net::peer_address(end.fd());
  return address ? *std::move(address) : Address();
}

}  // namespace

void Session::observers_changed() {
  relay_.events().select(client_address_);
  guarded([this] { relay_.observers_changed(); });  // mutant: stamps-stay-on
}

void Session::tell_counters() {
  guarded([this] { relay_.tell_counters(event::ProbePoint::asked); });
}

void Session::acknowledge_at_once(LegName leg, unsigned reads) {
  if (phase() != SessionPhase::relaying) return;
  (leg == LegName::client ? relay_.client() : relay_.server()).end.acknowledge_at_once(reads);
}

void Session::tell_accepted() const {
  if (!events().wants(EventKind::session_accepted)) return;
  auto accepted = std::make_shared<const event::SessionAccepted>(
      event::SessionAccepted{.client = client_address_, .listener = local_address(relay_.client().end)});
  events().push(accepted_, EventKind::session_accepted, std::move(accepted));
}

void Session::tell_resolved(const Result<net::Addresses>& answer) const {
  if (!events().wants(EventKind::upstream_resolved)) return;
  auto resolved = std::make_shared<event::UpstreamResolved>();
  resolved->name = settings_->rules.upstream.text;
  resolved->took = worker_.loop().clock().mono() - opening_->lookup_since;
  if (answer) {
    resolved->addresses.assign(answer->begin(), answer->end());
  } else {
    resolved->error = answer.error().message;
  }
  events().push(clock_time(), EventKind::upstream_resolved, std::move(resolved));
}

// The attempt under way has come to its end; nothing is told if there is none.
void Session::tell_attempt(int error) {
  if (!opening_ || !opening_->attempt_since) return;
  const MonoTime since = *std::exchange(opening_->attempt_since, std::nullopt);
  if (!events().wants(EventKind::connect_tried)) return;
  auto tried =
      std::make_shared<const event::ConnectTried>(event::ConnectTried{.upstream = upstream_address_,
                                                                      .from = opening_->attempt_from,
                                                                      .error = error,
                                                                      .took = worker_.loop().clock().mono() - since});
  events().push(clock_time(), EventKind::connect_tried, std::move(tried));
}

void Session::tell_opened(Nanos connect_time) {
  using Kept = decltype(connect_time_);
  connect_time_ = std::chrono::duration_cast<Kept>(std::clamp<Nanos>(connect_time, Nanos{0}, Kept::max()));
  if (events().wants(EventKind::session_opened))
    events().push(clock_time(), EventKind::session_opened, opened(connect_time));
  if (events().wants(EventKind::legs_connected))
    events().push(clock_time(), EventKind::legs_connected, leg_addresses());
}

void Session::tell_newcomer(event::EventRing& ring) const {
  if (phase_ != SessionPhase::relaying || !events().is_wanted_by(ring)) return;
  const MonoTime since = accepted_ + connect_time_;
  const bool told = contained([&] {
    if (ring.wants(EventKind::session_opened)) {
      events().push_to(ring, since, EventKind::session_opened, opened(connect_time_));
    }
    if (ring.wants(EventKind::legs_connected)) {
      events().push_to(ring, since, EventKind::legs_connected, leg_addresses());
    }
  });
  if (!told) ring.lose(since, events().proxy(), number());
}

auto Session::opened(Nanos connect_time) const -> std::shared_ptr<const event::SessionOpened> {
  return std::make_shared<const event::SessionOpened>(event::SessionOpened{
      .client = client_address_, .upstream = upstream_address_, .connect_time = connect_time, .handle = handle()});
}

auto Session::leg_addresses() const -> std::shared_ptr<const event::LegsConnected> {
  const auto of = [](const LegEnd& end) -> event::LegAddresses { return {local_address(end), peer_address(end)}; };
  return std::make_shared<const event::LegsConnected>(
      event::LegsConnected{{of(relay_.client().end), of(relay_.server().end)}});
}

void Session::tell_closed(std::string detail, bool reached) const {
  if (!events().wants(EventKind::session_closed)) return;
  auto closed = std::make_shared<event::SessionClosed>();
  closed->cause = relay_.cause();
  closed->detail = std::move(detail);
  closed->client = client_address_;
  if (reached) closed->upstream = upstream_address_;
  const MonoTime when = clock_time();
  closed->age = when - accepted_;
  closed->longest_silence = relay_.longest_silence();
  closed->waited_for_observers = relay_.waited_for_observers();
  closed->totals = relay_.totals();
  events().push(when, EventKind::session_closed, std::move(closed));
}

}  // namespace weir::proxy
