// The diagnoses of a running process: one for each proxy whose rules say `diagnose`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/home_thread.h"
#include "control/json.h"
#include "control/kept_verdicts.h"
#include "control/session_watch.h"
#include "diagnose/diagnosis.h"
#include "engine/engine.h"

namespace weir::control {

// One observer, on a thread of its own, which is there while a proxy is diagnosed: where none is, nothing is observed
// for it. The registry follows the proxies' rules with it. The control thread only; it may go before the engine.
class Diagnoses {
 public:
  // `deliver` gets what is to be told as events, "verdict" and "verdicts.missed", on `loop`, which outlives the
  // engine's observers, as what `deliver` names does.
  Diagnoses(engine::Engine& engine, net::EventLoop& loop, SessionWatch::Deliver deliver);
  ~Diagnoses();
  Diagnoses(const Diagnoses&) = delete;
  auto operator=(const Diagnoses&) -> Diagnoses& = delete;

  // Before a proxy is to have these rules, while nothing is changed yet. An Error: it cannot be diagnosed, as too many
  // observers are there.
  [[nodiscard]] auto make_ready(const proxy::ProxyRules& rules) -> Result<void>;
  // A proxy has these rules now; before the engine is told. Without `diagnose` all that was known of it is forgotten.
  void follow(ProxyId proxy, const proxy::ProxyRules& rules);
  void remove(ProxyId proxy);

  // None: it is not diagnosed.
  [[nodiscard]] auto report(ProxyId proxy) const -> std::optional<diagnose::Report>;
  struct Sums {
    std::vector<diagnose::Loss> losses;
    diagnose::ExchangeTimes times;
  };
  [[nodiscard]] auto sums(ProxyId proxy) const -> std::optional<Sums>;
  // The exchanges that are open now, of one proxy or of all: at most `most`, the oldest first.
  struct Open {
    std::vector<diagnose::HeldExchange> exchanges;
    std::size_t left_out = 0;
    MonoTime now;
  };
  [[nodiscard]] auto open_exchanges(std::optional<ProxyId> proxy, std::size_t most) const -> Open;

  // The last verdicts of the proxies that are diagnosed now; see KeptVerdicts::read.
  [[nodiscard]] auto verdicts(std::optional<ProxyId> proxy, std::optional<std::uint64_t> after, std::size_t most) const
      -> KeptVerdicts::Answer;

  // As events are told at most so many at once, and on average in a second; the others are counted and told as missed.
  static constexpr double events_at_once = 1000;
  static constexpr double events_a_second = 100;

 private:
  class Shared;
  class Feed;

  HomeThread thread_;
  engine::Engine& engine_;
  net::EventLoop& loop_;
  SessionWatch::Deliver deliver_;
  // With the observer it goes and another comes: one that leaves may still be busy with what is left for it.
  std::shared_ptr<Shared> shared_;
  std::optional<engine::ObserverId> observer_;
};

// A kept verdict with its proxy's name: what /api/v1/verdicts lists.
[[nodiscard]] auto verdict_json(const KeptVerdict& kept, const std::string& proxy) -> Json;
// What /api/v1/exchanges lists.
[[nodiscard]] auto exchange_json(const diagnose::HeldExchange& exchange, const std::string& proxy, MonoTime now)
    -> Json;

}  // namespace weir::control
