#include "control/diagnoses.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "control/diagnosis_json.h"
#include "engine/peer_eyes.h"

namespace weir::control {
namespace {

auto seconds(Nanos time) -> double { return std::chrono::duration<double>(time).count(); }

}  // namespace

// What the control thread and the observer's thread share. A diagnosis has a lock of its own, which is never taken
// under this one's.
class Diagnoses::Shared {
 public:
  Shared(net::EventLoop& loop, SessionWatch::Deliver deliver) : loop_(loop), deliver_(std::move(deliver)) {}
  // One whose verdicts are numbered on behind those of another, which has no proxy.
  Shared(const Shared& before, net::EventLoop& loop, SessionWatch::Deliver deliver) : Shared(loop, std::move(deliver)) {
    const std::lock_guard lock(before.mutex_);
    kept_ = before.kept_;
  }

  // --- the control thread ---
  void begin(ProxyId proxy, const std::string& server) {
    if (const auto known = find(proxy)) return known->set_server(server);
    const std::lock_guard lock(mutex_);
    if (!eyes_) eyes_ = engine::open_peer_eyes();
    proxies_[proxy] = std::make_shared<diagnose::Diagnosis>(diagnose::DiagnosisOptions{
        .server = server,
        .exchanges = {},
        .on_verdict = [this, proxy](const diagnose::ToldVerdict& verdict) { keep(proxy, verdict); },
        .acknowledge_at_once = {},  // nobody has asked for a proof
        .eyes = eyes_});
  }
  void end(ProxyId proxy) {
    const std::lock_guard lock(mutex_);
    if (proxies_.erase(proxy) == 0) return;
    kept_.forget(proxy);
    if (proxies_.empty()) eyes_ = {};
  }
  [[nodiscard]] auto find(ProxyId proxy) const -> std::shared_ptr<diagnose::Diagnosis> {
    const std::lock_guard lock(mutex_);
    const auto found = proxies_.find(proxy);
    return found == proxies_.end() ? nullptr : found->second;
  }
  [[nodiscard]] auto all() const -> std::vector<std::shared_ptr<diagnose::Diagnosis>> {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<diagnose::Diagnosis>> all;
    for (const auto& [id, diagnosis] : proxies_) all.push_back(diagnosis);
    return all;
  }
  [[nodiscard]] auto is_empty() const -> bool {
    const std::lock_guard lock(mutex_);
    return proxies_.empty();
  }
  [[nodiscard]] auto verdicts(std::optional<ProxyId> proxy, std::optional<std::uint64_t> after, std::size_t most) const
      -> KeptVerdicts::Answer {
    const std::lock_guard lock(mutex_);
    return kept_.read(proxy, after, most);
  }

  // --- the observer's thread ---
  void on_event(const event::Event& event, Nanos wall_offset);
  void flush() {
    for (const auto& diagnosis : all()) (void)diagnosis->flush();
    tell();
  }
  // In how long flush() has something to do, though nothing comes; none: nothing.
  [[nodiscard]] auto flush_due() const -> std::optional<Nanos> {
    auto due = tell_due();
    for (const auto& diagnosis : all()) {
      const auto its = diagnosis->flush_due();
      if (its && (!due || *its < *due)) due = its;
    }
    return due;
  }
  void end_all() {
    for (const auto& diagnosis : all()) diagnosis->on_end();
    tell();
  }
  void tell();

 private:
  // In how long tell() has something that it did not tell yet; none: it has nothing.
  [[nodiscard]] auto tell_due() const -> std::optional<Nanos> {
    if (missed_ == 0) return std::nullopt;
    return missed_told_ + tells_missed_each - loop_.clock().mono();
  }
  static constexpr Nanos tells_missed_each = std::chrono::seconds{1};

  void keep(ProxyId proxy, const diagnose::ToldVerdict& verdict);
  void tell_event(const KeptVerdict& kept);

  mutable std::mutex mutex_;
  diagnose::PeerEyes eyes_;  // of them all: they are used on one thread
  std::map<ProxyId, std::shared_ptr<diagnose::Diagnosis>> proxies_;
  KeptVerdicts kept_;

  net::EventLoop& loop_;
  const SessionWatch::Deliver deliver_;
  Nanos wall_offset_{};
  std::vector<SessionWatch::Item> untold_;
  std::uint64_t missed_ = 0;
  MonoTime missed_told_{};
  double may_tell_ = events_at_once;
  MonoTime counted_at_{};
};

void Diagnoses::Shared::on_event(const event::Event& event, Nanos wall_offset) {
  wall_offset_ = wall_offset;
  const MonoTime now = std::max(counted_at_, event.time);
  may_tell_ = std::min(events_at_once, may_tell_ + seconds(now - std::exchange(counted_at_, now)) * events_a_second);
  if (std::holds_alternative<event::Gap>(event.what)) {
    for (const auto& diagnosis : all()) diagnosis->on_event(event, wall_offset);
  } else if (const auto diagnosis = find(event.proxy)) {
    diagnosis->on_event(event, wall_offset);
  }
}

void Diagnoses::Shared::keep(ProxyId proxy, const diagnose::ToldVerdict& verdict) {
  KeptVerdict kept{
      .proxy = proxy, .time = WallTime{verdict.begin.time_since_epoch() + wall_offset_}, .verdict = verdict};
  const std::lock_guard lock(mutex_);
  if (!proxies_.contains(proxy)) return;  // its last events, behind its end
  kept.id = kept_.add(kept);
  tell_event(kept);
}

void Diagnoses::Shared::tell_event(const KeptVerdict& kept) {
  if (may_tell_ < 1) {
    ++missed_;
    return;
  }
  may_tell_ -= 1;
  Json data = verdict_json(kept, "");
  data.erase("proxy");  // the control thread knows its name
  untold_.push_back({.proxy = kept.proxy, .type = "verdict", .data = std::move(data)});
}

void Diagnoses::Shared::tell() {
  if (const auto due = tell_due(); due && *due <= Nanos{}) {
    missed_told_ = loop_.clock().mono();
    untold_.push_back({.proxy = {}, .type = "verdicts.missed", .data = {{"verdicts", std::exchange(missed_, 0)}}});
  }
  if (untold_.empty()) return;
  loop_.post([deliver = deliver_, batch = std::make_shared<std::vector<SessionWatch::Item>>(
                                      std::exchange(untold_, {}))] { deliver(std::move(*batch)); });
}

// The observer; it goes with the engine's observer thread.
class Diagnoses::Feed final : public event::Observer {
 public:
  explicit Feed(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  void on_event(const event::Event& event, Nanos wall_offset) override { shared_->on_event(event, wall_offset); }
  auto flush() -> bool override {
    shared_->flush();
    return true;
  }
  [[nodiscard]] auto flush_due() const -> std::optional<Nanos> override { return shared_->flush_due(); }
  void on_end() override { shared_->end_all(); }

 private:
  std::shared_ptr<Shared> shared_;
};

Diagnoses::Diagnoses(engine::Engine& engine, net::EventLoop& loop, SessionWatch::Deliver deliver)
    : engine_(engine), loop_(loop), deliver_(std::move(deliver)), shared_(std::make_shared<Shared>(loop, deliver_)) {}

Diagnoses::~Diagnoses() = default;

auto Diagnoses::make_ready(const proxy::ProxyRules& rules) -> Result<void> {
  thread_.check("control::Diagnoses");
  if (!rules.diagnose || observer_) return {};
  auto attached = engine_.attach({.observer = std::make_unique<Feed>(shared_),
                                  .ring = {.policy = event::FullPolicy::drop,
                                           .mask = diagnose::required_events(),
                                           .slots = 16'384,
                                           .payload_limit = 32 * 1024 * 1024},
                                  .wants_rules = [](const proxy::ProxyRules& each) { return each.diagnose; },
                                  .name = "diagnose"});
  if (!attached) return tl::make_unexpected(attached.error());
  observer_ = *attached;
  return {};
}

void Diagnoses::follow(ProxyId proxy, const proxy::ProxyRules& rules) {
  thread_.check("control::Diagnoses");
  if (!rules.diagnose) return remove(proxy);
  shared_->begin(proxy, rules.upstream.text);
}

void Diagnoses::remove(ProxyId proxy) {
  thread_.check("control::Diagnoses");
  shared_->end(proxy);
  if (!observer_ || !shared_->is_empty()) return;
  engine_.detach(*std::exchange(observer_, std::nullopt));
  shared_ = std::make_shared<Shared>(*shared_, loop_, deliver_);
}

auto Diagnoses::report(ProxyId proxy) const -> std::optional<diagnose::Report> {
  thread_.check("control::Diagnoses");
  const auto diagnosis = shared_->find(proxy);
  return diagnosis ? std::optional(diagnosis->report()) : std::nullopt;
}

auto Diagnoses::sums(ProxyId proxy) const -> std::optional<Sums> {
  thread_.check("control::Diagnoses");
  const auto diagnosis = shared_->find(proxy);
  if (!diagnosis) return std::nullopt;
  return Sums{.losses = diagnosis->losses(), .times = diagnosis->exchange_times()};
}

auto Diagnoses::open_exchanges(std::optional<ProxyId> proxy, std::size_t most) const -> Open {
  thread_.check("control::Diagnoses");
  Open open{.exchanges = {}, .left_out = 0, .now = loop_.clock().mono()};
  auto all = proxy ? std::vector{shared_->find(*proxy)} : shared_->all();
  std::erase(all, nullptr);
  for (const auto& diagnosis : all) {
    auto more = diagnosis->open_exchanges(open.now);
    open.exchanges.insert(open.exchanges.end(), std::make_move_iterator(more.begin()),
                          std::make_move_iterator(more.end()));
  }
  std::ranges::sort(open.exchanges, {},
                    [](const auto& each) { return std::tuple(each.begin, each.proxy, each.session, each.exchange); });
  if (open.exchanges.size() > most) {
    open.left_out = open.exchanges.size() - most;
    open.exchanges.erase(open.exchanges.begin() + static_cast<std::ptrdiff_t>(most), open.exchanges.end());
  }
  return open;
}

auto Diagnoses::verdicts(std::optional<ProxyId> proxy, std::optional<std::uint64_t> after, std::size_t most) const
    -> KeptVerdicts::Answer {
  thread_.check("control::Diagnoses");
  return shared_->verdicts(proxy, after, most);
}

auto verdict_json(const KeptVerdict& kept, const std::string& proxy) -> Json {
  Json json{{"id", kept.id}, {"proxy", proxy}, {"time", seconds(kept.time.time_since_epoch())}};
  json.update(verdict_json(kept.verdict));
  json["text"] = kept.verdict.text;
  return json;
}

auto exchange_json(const diagnose::HeldExchange& exchange, const std::string& proxy, MonoTime now) -> Json {
  const auto address = [](const std::optional<Address>& of) { return of ? Json(of->to_string()) : Json(); };
  Json json{{"proxy", proxy},
            {"session", static_cast<std::uint64_t>(exchange.session)},
            {"exchange", exchange.exchange},
            {"client", address(exchange.client)},
            {"upstream", address(exchange.upstream)},
            {"start", exchange.begin.time_since_epoch().count()},
            {"age_ns", std::max(now - exchange.begin, Nanos{}).count()},
            {"bytes_upstream", exchange.bytes[index(Direction::upstream)]},
            {"bytes_downstream", exchange.bytes[index(Direction::downstream)]},
            {"segment", to_string(exchange.segment)},
            {"side", to_string(exchange.side)},
            {"who", exchange.who},
            {"held_ns", exchange.held.count()},
            {"verdict", Json()}};
  if (exchange.verdict) {
    json["verdict"] = verdict_json(*exchange.verdict);
    json["verdict"]["text"] = exchange.verdict->text;
  }
  return json;
}

}  // namespace weir::control
