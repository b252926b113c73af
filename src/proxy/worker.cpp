#include "proxy/worker.h"

#include <algorithm>
#include <new>

#include "base/out_of_memory.h"
#include "net/descriptors.h"
#include "proxy/acceptor.h"
#include "proxy/setting_catalog.h"

namespace weir::proxy {
namespace {

// As the views tell it in a session's last line: less is the ordinary pace of an observer.
constexpr Nanos least_held_up = std::chrono::milliseconds{1};

}  // namespace

ProxyOnWorker::~ProxyOnWorker() = default;

void ProxyCounters::add_connect(Nanos took) {
  const auto* bound =
      std::find_if(connect_bounds.begin(), connect_bounds.end(), [&](Nanos each) { return took <= each; });
  ++connects[static_cast<std::size_t>(bound - connect_bounds.begin())];
  connect_time_sum += took;
}

void ProxyCounters::add(const std::array<event::DirectionTotals, 2>& more) {
  for (std::size_t i = 0; i < totals.size(); ++i) {
    totals[i].bytes += more[i].bytes;
    totals[i].chunks += more[i].chunks;
    totals[i].undelivered += more[i].undelivered;
  }
}

void ProxyCounters::merge(const ProxyCounters& other) {
  sessions += other.sessions;
  add(other.totals);
  connect_failures += other.connect_failures;
  watchdog_trips += other.watchdog_trips;
  for (const auto& [cause, count] : other.closes) closes[cause] += count;
  for (std::size_t i = 0; i < connects.size(); ++i) connects[i] += other.connects[i];
  connect_time_sum += other.connect_time_sum;
}

Worker::Worker(net::EventLoop& loop, net::Resolver& resolver, std::uint32_t number)
    : loop_(loop),
      resolver_(resolver),
      number_(number),
      scratch_(std::make_unique<std::array<std::byte, scratch_size>>()),
      context_{loop.clock(), *scratch_, blocks_, pipes_},
      bulk_(loop, thread_) {
  loop_.set_end_of_turn([this] {
    publish_events();
    bulk_.note(context_.spliced);
  });
  loop_.set_on_nudge([this] { resume_parked(); });
}

Worker::~Worker() {
  loop_.set_end_of_turn({});
  loop_.set_on_nudge({});
  loop_.cancel(turner_);
  while (first_ != nullptr) {
    Session* session = first_;
    first_ = session->next_;
    delete session;
  }
}

auto Worker::add_proxy(std::unique_ptr<ProxyOnWorker> proxy) -> ProxyOnWorker& {
  loop_.assert_on_loop_thread();
  auto& place = proxies_[proxy->index];
  place = std::move(proxy);
  return *place;
}

auto Worker::find_proxy(std::size_t index) -> ProxyOnWorker* {
  loop_.assert_on_loop_thread();
  const auto found = proxies_.find(index);
  return found == proxies_.end() ? nullptr : found->second.get();
}

auto Worker::find_session(const SessionHandle& handle) -> Session* {
  loop_.assert_on_loop_thread();
  const auto* leg = dynamic_cast<const Session::LegWatch*>(loop_.find({handle.slot, handle.generation}));
  return leg != nullptr && handle.worker == number_ ? &leg->session() : nullptr;
}

void Worker::close_sessions(const ProxyOnWorker& proxy, const std::string& detail) {
  loop_.assert_on_loop_thread();
  each_session([&](Session& session) {
    if (&session.proxy() == &proxy) session.close(detail);
  });
}

void Worker::remove_proxy(std::size_t index) {
  loop_.assert_on_loop_thread();
  const auto found = proxies_.find(index);
  if (found == proxies_.end()) return;
  found->second->acceptors.clear();
  close_sessions(*found->second, "its proxy was removed");
  loop_.free_later(std::move(found->second));  // after its sessions, which go before it in the same list
  proxies_.erase(found);
}

void Worker::add_ring(std::shared_ptr<event::EventRing> ring, const std::function<bool(const ProxyOnWorker&)>& wants,
                      bool tell_open) {
  loop_.assert_on_loop_thread();
  // The proxies know it only if we keep it, and there is room for it to leave one day.
  leaving_rings_.reserve(leaving_rings_.size() + rings_.size() + 1);
  rings_.push_back(ring);
  for (const auto& [index, proxy] : proxies_) {
    if (wants(*proxy)) proxy->observers.add(*ring);
  }
  each_session([&](Session& session) {
    if (!session.proxy().observers.has(*ring)) return;
    session.observers_changed();
    if (tell_open) session.tell_newcomer(*ring);  // mutant: newcomer-not-told-who-is-there
  });
}

auto Worker::has_ring(const event::EventRing& ring) const -> bool {
  return std::ranges::any_of(rings_, [&](const auto& each) { return each.get() == &ring; });
}

void Worker::remove_ring(const std::shared_ptr<event::EventRing>& ring) {
  loop_.assert_on_loop_thread();
  if (std::erase(rings_, ring) == 0) {
    // There was no memory for it when it came: nothing was ever pushed.
    if (std::ranges::find(leaving_rings_, ring) == leaving_rings_.end()) ring->close();
    return;
  }
  // Its place may be another's before they have tried again.
  for (auto& [session, by] : held_up_) by &= ~session->proxy().observers.places_of(*ring);
  for (const auto& [index, proxy] : proxies_) proxy->observers.remove(*ring);
  each_session([](Session& session) { session.observers_changed(); });
  leaving_rings_.push_back(ring);
  resume_parked();
}

void Worker::observe(ProxyOnWorker& proxy, event::EventRing& ring, bool tell_open) {
  loop_.assert_on_loop_thread();
  if (!has_ring(ring) || proxy.observers.has(ring) || !proxy.observers.add(ring)) return;
  each_session([&](Session& session) {
    if (&session.proxy() != &proxy) return;
    session.observers_changed();
    if (tell_open) session.tell_newcomer(ring);
  });
}

void Worker::observe_no_more(ProxyOnWorker& proxy, const event::EventRing& ring) {
  loop_.assert_on_loop_thread();
  proxy.observers.remove(ring);
  each_session([&](Session& session) {
    if (&session.proxy() == &proxy) session.observers_changed();
  });
}

void Worker::publish_events() {
  loop_.assert_on_loop_thread();
  for (const auto& ring : rings_) ring->publish();
  std::erase_if(leaving_rings_, [](const auto& ring) {
    ring->publish();
    if (!ring->producer_is_empty()) return false;
    ring->close();
    return true;
  });
  if (blocks_.give_some_back()) loop_.run_again(turner_);
}

void Worker::adopt(ProxyOnWorker& proxy, Fd client, Address client_address, SessionNumber number) {
  loop_.assert_on_loop_thread();
  ++counters_.sessions;
  ++proxy.counters.sessions;
  const int fd = client.get();
  std::unique_ptr<Session> session;
  const bool made = contained(
      [&] { session = std::make_unique<Session>(*this, proxy, std::move(client), std::move(client_address), number); });
  if (!made) {
    if (client.get() == fd) net::reset_on_close(fd);
    client.reset();
    count_close(proxy, {.reason = event::CloseReason::resources});
    proxy.shared->session_ended();
    if (proxy.shared->on_place_free) proxy.shared->on_place_free();
    return;
  }
  session->next_ = first_;
  if (first_ != nullptr) first_->previous_ = session.get();
  first_ = session.get();
  load_.fetch_add(1, std::memory_order_relaxed);
  Session& owned = *session.release();  // by the list from here on; ended() takes it back
  owned.begin();
  if (end_of_all_) end_with_all(owned);
}

void Worker::count_close(ProxyOnWorker& proxy, const event::CloseCause& cause) {
  (void)contained([&] { ++proxy.counters.closes[event::to_string(cause)]; });
}

void Worker::ended(Session& session) {
  loop_.assert_on_loop_thread();
  if (session.previous_ != nullptr) session.previous_->next_ = session.next_;
  if (session.next_ != nullptr) session.next_->previous_ = session.previous_;
  if (first_ == &session) first_ = session.next_;
  session.next_ = session.previous_ = nullptr;
  if (session.parked_listed_) {
    std::erase(parked_, &session);
    count_parked();
  }
  if (session.is_held_up_) note_held_up(session, 0);

  const auto totals = session.relay().totals();
  for (std::size_t i = 0; i < totals.size(); ++i) counters_.bytes[i] += totals[i].bytes;
  counters_.watchdog_trips += session.watchdog_trips();
  if (const Nanos held = session.relay().waited_for_observers(); held >= least_held_up) {
    ++counters_.held_up;
    counters_.longest_held_up = std::max(counters_.longest_held_up, held);
  }

  ProxyOnWorker& proxy = session.proxy();
  proxy.counters.add(totals);
  proxy.counters.watchdog_trips += session.watchdog_trips();
  count_close(proxy, session.relay().cause());
  load_.fetch_sub(1, std::memory_order_relaxed);
  proxy.shared->session_ended();
  for (const auto& acceptor : proxy.acceptors) acceptor->capacity_freed();
  loop_.free_later(std::unique_ptr<net::Disposable>(&session));
  if (proxy.shared->on_place_free) proxy.shared->on_place_free();
}

void Worker::park(Session& session) {
  loop_.assert_on_loop_thread();
  if (session.parked_listed_) return;
  parked_.push_back(&session);
  session.parked_listed_ = true;
  count_parked();
}

void Worker::count_parked() {
  if (!parked_.empty()) first_parked_.store(parked_.front()->number(), std::memory_order_relaxed);
  parked_count_.store(parked_.size(), std::memory_order_relaxed);
}

void Worker::note_held_up(Session& session, event::Fanout::Places by) {
  loop_.assert_on_loop_thread();
  event::Fanout::Places& before = held_up_[&session];
  session.proxy().observers.count_held_up(event::HeldUp::Who::session, before, by, loop_.now());
  before = by;
  session.is_held_up_ = by != 0;
  if (by == 0) held_up_.erase(&session);
}

void Worker::resume_parked() {
  loop_.assert_on_loop_thread();
  for (const auto& ring : rings_) {
    if (ring->take_room_news()) ring->held_up().room_came(loop_.now());
  }
  // Whoever finds no room parks again, at the back: the list is taken whole first. A session may end
  // and leave the list while another resumes, so each is looked for again.
  std::vector<Session*> waiting;
  waiting.swap(parked_);
  count_parked();
  for (Session* session : waiting) session->parked_listed_ = false;
  for (Session* session : waiting) loop_.run_again(*session);
  for (const auto& [index, proxy] : proxies_) {
    for (const auto& acceptor : proxy->acceptors) acceptor->capacity_freed();
  }
}

void Worker::set_settings(ProxyOnWorker& proxy, std::shared_ptr<const ProxySettings> settings) {
  loop_.assert_on_loop_thread();
  proxy.settings = std::move(settings);
  // Sessions that began under the same settings go on sharing one value.
  std::map<std::shared_ptr<const ProxySettings>, std::shared_ptr<const ProxySettings>> merged;
  each_session([&](Session& session) {
    if (&session.proxy() != &proxy) return;
    // A session that cannot take what was changed must not go on without it.
    session.guarded([&] {
      auto& next = merged[session.settings()];
      if (!next) {
        auto own = std::make_shared<ProxySettings>(*session.settings());
        own->rules = rules_of_open_session(own->rules, proxy.settings->rules);
        next = own->rules == session.settings()->rules ? session.settings() : std::move(own);
      }
      if (next != session.settings()) session.take_settings(next);
    });
  });
  for (const auto& acceptor : proxy.acceptors) acceptor->settings_changed();
}

void Worker::set_faults(ProxyOnWorker& proxy, std::shared_ptr<const fault::FaultList> faults) {
  loop_.assert_on_loop_thread();
  // mutant: older-list-wins
  if (proxy.faults && faults->revision() <= proxy.faults->revision()) return;  // an older one that came late
  proxy.faults = std::move(faults);
  // Each may have much to send now.
  constexpr Nanos at_once = std::chrono::milliseconds{1};
  const MonoTime end = loop_.clock().mono() + at_once;
  each_session([&](Session& session) {
    if (&session.proxy() == &proxy) session.faults_changed(loop_.clock().mono() < end);
  });
}

void Worker::stop_accepting() {
  loop_.assert_on_loop_thread();
  for (const auto& [index, proxy] : proxies_) proxy->acceptors.clear();
}

void Worker::end_all(const event::CloseCause& cause, std::string detail) {
  loop_.assert_on_loop_thread();
  end_of_all_ = EndOfAll{cause, std::move(detail)};
  each_session([this](Session& session) { end_with_all(session); });
}

void Worker::end_with_all(Session& session) const {
  event::CloseCause own = end_of_all_->cause;
  if (own.reason != event::CloseReason::timeout) own.after = loop_.now() - session.accepted_;
  session.end(own, end_of_all_->detail);
}

auto Worker::lookup_started(Session& session) -> std::uint64_t {
  loop_.assert_on_loop_thread();
  lookups_.emplace(++next_ticket_, &session);
  return next_ticket_;
}

void Worker::lookup_answered(std::uint64_t ticket, const Result<net::Addresses>& answer) {
  loop_.assert_on_loop_thread();
  const auto found = lookups_.find(ticket);
  if (found == lookups_.end()) return;  // it gave up meanwhile
  Session* session = found->second;
  lookups_.erase(found);
  session->on_lookup_answered(answer);
}

}  // namespace weir::proxy
