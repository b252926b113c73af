#include "api/metrics.h"

#include <algorithm>
#include <limits>
#include <map>
#include <span>

#include "api/metrics_text.h"
#include "control/proxy_walk.h"
#include "control/registry.h"

namespace weir::api {
namespace {

using engine::ProxyTraffic;

// A family that has samples of every proxy.
struct ProxyFamily {
  std::string_view name;
  std::string_view help;
  std::string_view type;
  void (*write)(MetricsText& text, const ProxyEntry& entry, const ProxyTraffic& traffic);
};

void write_one(MetricsText& text, const ProxyEntry& entry, std::uint64_t value) {
  text.sample({{"proxy", entry.name}}, static_cast<double>(value));
}

// As toxiproxy labels them. Every byte that was read was sent, but for what a reset left behind.
void write_bytes(MetricsText& text, const ProxyEntry& entry, const ProxyTraffic& traffic, bool sent) {
  for (const auto direction : {Direction::upstream, Direction::downstream}) {
    const auto& totals = traffic.counters.totals[index(direction)];
    const auto bytes = totals.bytes - (sent ? std::min(totals.undelivered, totals.bytes) : 0);
    text.sample({{"direction", to_string(direction)},
                 {"listener", entry.listen},
                 {"proxy", entry.name},
                 {"upstream", entry.rules.upstream.text}},
                static_cast<double>(bytes));
  }
}

void write_chunks(MetricsText& text, const ProxyEntry& entry, const ProxyTraffic& traffic) {
  for (const auto direction : {Direction::upstream, Direction::downstream}) {
    text.sample({{"proxy", entry.name}, {"direction", to_string(direction)}},
                static_cast<double>(traffic.counters.totals[index(direction)].chunks));
  }
}

void write_connects(MetricsText& text, const ProxyEntry& entry, const ProxyTraffic& traffic) {
  const auto& counters = traffic.counters;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < counters.connects.size(); ++i) {
    count += counters.connects[i];
    const bool last = i == proxy::ProxyCounters::connect_bounds.size();
    const double bound = last ? std::numeric_limits<double>::infinity()
                              : std::chrono::duration<double>(proxy::ProxyCounters::connect_bounds[i]).count();
    text.sample({{"proxy", entry.name}, {"le", metric_number(bound)}}, static_cast<double>(count), "_bucket");
  }
  text.sample({{"proxy", entry.name}}, std::chrono::duration<double>(counters.connect_time_sum).count(), "_sum");
  text.sample({{"proxy", entry.name}}, static_cast<double>(count), "_count");
}

void write_closes(MetricsText& text, const ProxyEntry& entry, const ProxyTraffic& traffic) {
  for (const auto& [cause, count] : traffic.counters.closes) {
    text.sample({{"proxy", entry.name}, {"cause", cause}}, static_cast<double>(count));
  }
}

constexpr std::string_view counter = "counter";
constexpr std::string_view gauge = "gauge";

const ProxyFamily proxy_families[] = {
    {"toxiproxy_proxy_received_bytes_total", "Bytes read from a proxy's sockets.", counter,
     [](auto& text, auto& entry, auto& traffic) { write_bytes(text, entry, traffic, false); }},
    {"toxiproxy_proxy_sent_bytes_total", "Bytes handed to a proxy's sockets.", counter,
     [](auto& text, auto& entry, auto& traffic) { write_bytes(text, entry, traffic, true); }},
    {"weir_sessions_live", "Sessions that are open now.", gauge,
     [](auto& text, auto& entry, auto& traffic) { write_one(text, entry, traffic.live); }},
    {"weir_sessions_total", "Sessions accepted.", counter,
     [](auto& text, auto& entry, auto& traffic) { write_one(text, entry, traffic.counters.sessions); }},
    {"weir_connect_failures_total", "Sessions whose upstream was not reached.", counter,
     [](auto& text, auto& entry, auto& traffic) { write_one(text, entry, traffic.counters.connect_failures); }},
    {"weir_accept_pauses_total", "Times that accepting paused: no descriptor left, or too many sessions.", counter,
     [](auto& text, auto& entry, auto& traffic) { write_one(text, entry, traffic.refused_accepts); }},
    {"weir_chunks_total", "Reads that delivered bytes.", counter, write_chunks},
    {"weir_connect_seconds", "From accepting a client to being connected to its upstream.", "histogram",
     write_connects},
    {"weir_sessions_closed_total", "Sessions that ended, by close cause.", counter, write_closes},
};

// A family that has samples of every proxy that is diagnosed.
struct DiagnosisFamily {
  std::string_view name;
  std::string_view help;
  std::string_view type;
  void (*write)(MetricsText& text, const ProxyEntry& entry, const control::Diagnoses::Sums& sums);
};

void write_losses(MetricsText& text, const ProxyEntry& entry, const control::Diagnoses::Sums& sums) {
  for (const diagnose::Loss& loss : sums.losses) {
    text.sample({{"proxy", entry.name}, {"side", to_string(loss.side)}, {"cause", loss.cause->name}},
                std::chrono::duration<double>(loss.lost).count());
  }
}

void write_exchanges(MetricsText& text, const ProxyEntry& entry, const control::Diagnoses::Sums& sums) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < sums.times.counts.size(); ++i) {
    count += sums.times.counts[i];
    const bool last = i == diagnose::ExchangeTimes::bounds.size();
    const double bound = last ? std::numeric_limits<double>::infinity()
                              : std::chrono::duration<double>(diagnose::ExchangeTimes::bounds[i]).count();
    text.sample({{"proxy", entry.name}, {"le", metric_number(bound)}}, static_cast<double>(count), "_bucket");
  }
  text.sample({{"proxy", entry.name}}, std::chrono::duration<double>(sums.times.sum).count(), "_sum");
  text.sample({{"proxy", entry.name}}, static_cast<double>(count), "_count");
}

const DiagnosisFamily diagnosis_families[] = {
    {"weir_lost_seconds_total", "Time of exchanges that was lost, by whose and why, where diagnose is on.", counter,
     write_losses},
    {"weir_exchange_seconds", "From the first byte of a request to the last one of its response, where diagnose is on.",
     "histogram", write_exchanges},
};

// One scrape, written in steps.
class Scrape {
 public:
  Scrape(const control::ApiParts& parts, engine::Traffic traffic, std::shared_ptr<SharedAnswers::Batch> batch)
      : parts_(parts), traffic_(std::move(traffic)), batch_(std::move(batch)), walk_(parts.registry) {}

  // False: it is answered, or nobody waits for it.
  auto step() -> bool {
    if (!batch_->is_awaited()) return false;
    if (family_ < std::size(proxy_families)) {
      write_proxy();
      return true;
    }
    if (!faults_are_written_) {
      write_fault();
      return true;
    }
    if (diagnosis_family_ < std::size(diagnosis_families)) {
      write_diagnosis();
      return true;
    }
    write_process();
    http::Response answer;
    answer.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    answer.shared_body = text_.take();
    batch_->answer(std::move(answer));
    return false;
  }

 private:
  void write_proxy() {
    const ProxyFamily& family = proxy_families[family_];
    if (std::exchange(begins_, false)) text_.family(family.name, family.help, family.type);
    if (const ProxyEntry* entry = walk_.next()) {
      const auto found = traffic_.proxies.find(entry->id);
      if (found != traffic_.proxies.end()) family.write(text_, *entry, found->second);
    } else {
      ++family_;
      begin_again();
    }
  }
  void write_fault() {
    if (std::exchange(begins_, false)) {
      text_.family("weir_fault_sessions_total", "Sessions in which a fault was in force.", counter);
    }
    const ProxyEntry* entry = walk_.next();
    faults_are_written_ = entry == nullptr;
    if (entry == nullptr) return begin_again();
    for (const auto& count : parts_.registry.engine().faults(entry->id).counts()) {
      text_.sample({{"proxy", entry->name}, {"fault", count.fault}}, static_cast<double>(count.sessions));
    }
  }
  void write_diagnosis() {
    const DiagnosisFamily& family = diagnosis_families[diagnosis_family_];
    if (std::exchange(begins_, false)) text_.family(family.name, family.help, family.type);
    if (const ProxyEntry* entry = walk_.next()) {
      if (!entry->rules.diagnose) return;
      if (const auto sums = parts_.diagnoses.sums(entry->id)) family.write(text_, *entry, *sums);
    } else {
      ++diagnosis_family_;
      begin_again();
    }
  }
  void begin_again() {
    walk_.restart();
    begins_ = true;
  }
  void write_process();
  void write_log();
  void write_outputs();
  void write_holds();

  const control::ApiParts& parts_;
  engine::Traffic traffic_;
  std::shared_ptr<SharedAnswers::Batch> batch_;
  control::ProxyWalk walk_;
  MetricsText text_;
  std::size_t family_ = 0;
  std::size_t diagnosis_family_ = 0;
  bool begins_ = true;  // with the first proxy of a family
  bool faults_are_written_ = false;
};

void Scrape::write_process() {
  const auto& budget = parts_.registry.engine().fault_budget();
  text_.one("weir_fault_held_bytes", "Bytes that faults hold now.", gauge, static_cast<double>(budget.held()));
  text_.family("weir_fault_queue_full_total", "Times that a bound on what faults hold left a source unread.", counter);
  text_.sample({{"bound", "direction"}}, static_cast<double>(budget.direction_full()));
  text_.sample({{"bound", "process"}}, static_cast<double>(budget.process_full()));
  text_.one("weir_observer_missed_events_total", "Session events that did not fit into a ring.", counter,
            static_cast<double>(parts_.events.missed()));
  text_.one("weir_event_streams", "Event streams that are open now.", gauge,
            static_cast<double>(parts_.events.streams()));
  text_.one("weir_api_connections", "HTTP connections that are open now.", gauge,
            static_cast<double>(parts_.http_connections()));
  write_log();
  write_outputs();
  write_holds();
  text_.one("weir_loop_lag_seconds", "How long the slowest loop took to answer this scrape.", gauge,
            std::chrono::duration<double>(traffic_.took).count());
  text_.one("weir_scrape_partial", "Was a loop too late for this scrape, so that its share is missing?", gauge,
            traffic_.partial ? 1 : 0);
}

void Scrape::write_log() {
  const auto all = parts_.log.status();
  const auto fill = [&](std::string_view name, std::string_view help, std::string_view type, auto value) {
    text_.family(name, help, type);
    for (const auto& status : all) text_.sample({{"target", status.target}}, static_cast<double>(value(status)));
  };
  fill("weir_log_messages_total", "Log messages that a target took.", counter,
       [](const auto& status) { return status.sent; });
  fill("weir_log_dropped_total", "Log messages that a target did not take in time.", counter,
       [](const auto& status) { return status.dropped; });
  fill("weir_log_up", "Is the target there?", gauge, [](const auto& status) { return status.up ? 1 : 0; });
}

void Scrape::write_outputs() {
  const auto all = parts_.observer_outputs ? parts_.observer_outputs() : std::vector<view::OutputStatus>();
  if (all.empty()) return;
  const auto fill = [&](std::string_view name, std::string_view help, std::string_view type, auto value) {
    text_.family(name, help, type);
    for (const auto& status : all) text_.sample({{"output", status.name}}, static_cast<double>(value(status)));
  };
  fill("weir_observer_output_up", "Is the output of an observer written to?", gauge,
       [](const auto& status) { return status.error == 0 ? 1 : 0; });
  fill("weir_observer_output_outages_total", "Times that an observer's output took nothing.", counter,
       [](const auto& status) { return status.outages; });
  fill("weir_observer_output_lost_bytes_total", "Bytes of chunks that were lost to such outages.", counter,
       [](const auto& status) { return status.lost_bytes; });
}

// Views come and go, each with an address of its own: what is summed up goes by the observer's name alone, so that it
// never falls and there are few of it.
void Scrape::write_holds() {
  const engine::Engine& engine = parts_.registry.engine();
  std::map<std::pair<std::string, std::string>, engine::ObserverHold> holds;  // two may have one name and one reader
  std::map<std::string, Nanos> waited = engine.waited_for_gone();
  for (const engine::ObserverHold& each : engine.observer_holds()) {
    engine::ObserverHold& hold = holds[{each.observer, each.reader}];
    hold.sessions += each.sessions;
    hold.listeners += each.listeners;
    hold.longest = std::max(hold.longest, each.longest);
    waited[each.observer] += each.waited;
  }
  if (waited.empty()) return;
  const auto seconds = [](Nanos time) { return std::chrono::duration<double>(time).count(); };
  const auto fill = [&](std::string_view name, std::string_view help, auto value) {
    text_.family(name, help, gauge);
    for (const auto& [whose, hold] : holds) {
      const auto& [observer, reader] = whose;
      if (reader.empty()) {
        text_.sample({{"observer", observer}}, value(hold));
      } else {
        text_.sample({{"observer", observer}, {"reader", reader}}, value(hold));
      }
    }
  };
  fill("weir_observer_held_sessions", "Sessions that stand still for an observer with policy block now.",
       [](const auto& hold) { return static_cast<double>(hold.sessions); });
  fill("weir_observer_held_listeners", "Listeners that accept nobody, by worker, for such an observer now.",
       [](const auto& hold) { return static_cast<double>(hold.listeners); });
  fill("weir_observer_stalled_seconds", "How long such an observer has made no room while something waits for it.",
       [&](const auto& hold) { return seconds(hold.longest); });
  text_.family("weir_observer_held_seconds_total", "Time that sessions and listeners stood still for such an observer.",
               counter);
  for (const auto& [observer, time] : waited) text_.sample({{"observer", observer}}, seconds(time));
}

}  // namespace

void MetricsRoute::handle(http::Responder responder) {
  scrapes_.ask("", std::move(responder), [this](const std::shared_ptr<SharedAnswers::Batch>& batch) {
    parts_.registry.engine().traffic({parts_.loop, control::loop_patience}, [this, batch](engine::Traffic traffic) {
      const auto scrape = std::make_shared<Scrape>(parts_, std::move(traffic), batch);
      parts_.lists.add("GET /metrics", [scrape] { return scrape->step(); });
    });
  });
}

}  // namespace weir::api
