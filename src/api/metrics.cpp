#include "api/metrics.h"

#include "control/registry.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>

namespace weir::api {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Collects the families of one scrape.
class Scrape {
 public:
  auto family(const char* name, const char* help, MetricType type) -> MetricFamily& {
    MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    families_.push_back(std::move(family));
    return families_.back();
  }
  static void add(MetricFamily& family, const Labels& labels, double value) {
    ClientMetric metric;
    for (const auto& [name, text] : labels) metric.label.push_back({name, text});
    if (family.type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family.metric.push_back(std::move(metric));
  }
  void one(const char* name, const char* help, MetricType type, double value) {
    add(family(name, help, type), {}, value);
  }
  [[nodiscard]] auto text() const -> std::string { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<MetricFamily> families_;
};

using Traffic = std::map<ProxyId, engine::ProxyTraffic>;

template <class Value>
void per_proxy(Scrape& scrape, const Registry& registry, const Traffic& traffic, const char* name, const char* help,
               MetricType type, Value value) {
  auto& family = scrape.family(name, help, type);
  for (const auto& [proxy, entry] : registry.all()) {
    if (const auto found = traffic.find(entry.id); found != traffic.end()) {
      Scrape::add(family, {{"proxy", proxy}}, static_cast<double>(value(found->second)));
    }
  }
}

// Every byte that was read was sent, but for what a reset left behind.
void toxiproxy_counters(Scrape& scrape, const Registry& registry, const Traffic& traffic) {
  const auto fill = [&](const char* name, const char* help, bool sent) {
    auto& family = scrape.family(name, help, MetricType::Counter);
    for (const auto& [proxy, entry] : registry.all()) {
      const auto found = traffic.find(entry.id);
      if (found == traffic.end()) continue;
      for (const auto direction : {Direction::upstream, Direction::downstream}) {
        const auto& totals = found->second.counters.totals[index(direction)];
        const auto bytes = totals.bytes - (sent ? std::min(totals.undelivered, totals.bytes) : 0);
        Scrape::add(family,
                    {{"direction", to_string(direction)},
                     {"listener", entry.listen},
                     {"proxy", proxy},
                     {"upstream", entry.rules.upstream.text}},
                    static_cast<double>(bytes));
      }
    }
  };
  fill("toxiproxy_proxy_received_bytes_total", "Bytes read from a proxy's sockets.", false);
  fill("toxiproxy_proxy_sent_bytes_total", "Bytes handed to a proxy's sockets.", true);
}

void connect_histogram(Scrape& scrape, const Registry& registry, const Traffic& traffic) {
  auto& family = scrape.family("weir_connect_seconds", "From accepting a client to being connected to its upstream.",
                               MetricType::Histogram);
  for (const auto& [proxy, entry] : registry.all()) {
    const auto found = traffic.find(entry.id);
    if (found == traffic.end()) continue;
    const auto& counters = found->second.counters;
    ClientMetric metric;
    metric.label.push_back({"proxy", proxy});
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < counters.connects.size(); ++i) {
      count += counters.connects[i];
      const bool last = i == proxy::ProxyCounters::connect_bounds.size();
      const double bound = last ? std::numeric_limits<double>::infinity()
                                : std::chrono::duration<double>(proxy::ProxyCounters::connect_bounds[i]).count();
      metric.histogram.bucket.push_back({count, bound});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = std::chrono::duration<double>(counters.connect_time_sum).count();
    family.metric.push_back(std::move(metric));
  }
}

void closes_and_faults(Scrape& scrape, const Registry& registry, const Traffic& traffic, const engine::Engine& engine) {
  auto& closes =
      scrape.family("weir_sessions_closed_total", "Sessions that ended, by close cause.", MetricType::Counter);
  for (const auto& [proxy, entry] : registry.all()) {
    const auto found = traffic.find(entry.id);
    if (found == traffic.end()) continue;
    for (const auto& [cause, count] : found->second.counters.closes) {
      Scrape::add(closes, {{"proxy", proxy}, {"cause", std::string(cause)}}, static_cast<double>(count));
    }
  }
  auto& faults =
      scrape.family("weir_fault_sessions_total", "Sessions in which a fault was in force.", MetricType::Counter);
  for (const auto& [proxy, entry] : registry.all()) {
    for (const auto& count : engine.faults(entry.id).counts()) {
      Scrape::add(faults, {{"proxy", proxy}, {"fault", count.fault}}, static_cast<double>(count.sessions));
    }
  }
}

void log_targets(Scrape& scrape, const syslog::TargetLog& log) {
  const auto all = log.status();
  const auto fill = [&](const char* name, const char* help, MetricType type, auto value) {
    auto& family = scrape.family(name, help, type);
    for (const auto& status : all) Scrape::add(family, {{"target", status.target}}, static_cast<double>(value(status)));
  };
  fill("weir_log_messages_total", "Log messages that a target took.", MetricType::Counter,
       [](const auto& status) { return status.sent; });
  fill("weir_log_dropped_total", "Log messages that a target did not take in time.", MetricType::Counter,
       [](const auto& status) { return status.dropped; });
  fill("weir_log_up", "Is the target there?", MetricType::Gauge, [](const auto& status) { return status.up ? 1 : 0; });
}

}  // namespace

auto metrics_answer(Registry& registry, engine::Engine& engine, const control::EventLog& events,
                    const syslog::TargetLog& log, std::size_t http_connections) -> http::Response {
  const MonoTime begin = SystemClock::instance().mono();
  const Traffic traffic = engine.traffic(control::loop_patience);
  const Nanos lag = SystemClock::instance().mono() - begin;
  Scrape scrape;
  toxiproxy_counters(scrape, registry, traffic);
  const auto sum = [&](const char* name, const char* help, auto value) {
    per_proxy(scrape, registry, traffic, name, help, MetricType::Counter, value);
  };
  using engine::ProxyTraffic;
  per_proxy(scrape, registry, traffic, "weir_sessions_live", "Sessions that are open now.", MetricType::Gauge,
            [](const ProxyTraffic& each) { return each.live; });
  sum("weir_sessions_total", "Sessions accepted.", [](const ProxyTraffic& each) { return each.counters.sessions; });
  sum("weir_connect_failures_total", "Sessions whose upstream was not reached.",
      [](const ProxyTraffic& each) { return each.counters.connect_failures; });
  sum("weir_accept_pauses_total", "Times that accepting paused: no descriptor left, or too many sessions.",
      [](const ProxyTraffic& each) { return each.refused_accepts; });
  auto& chunks = scrape.family("weir_chunks_total", "Reads that delivered bytes.", MetricType::Counter);
  for (const auto& [proxy, entry] : registry.all()) {
    const auto found = traffic.find(entry.id);
    if (found == traffic.end()) continue;
    for (const auto direction : {Direction::upstream, Direction::downstream}) {
      Scrape::add(chunks, {{"proxy", proxy}, {"direction", to_string(direction)}},
                  static_cast<double>(found->second.counters.totals[index(direction)].chunks));
    }
  }
  connect_histogram(scrape, registry, traffic);
  closes_and_faults(scrape, registry, traffic, engine);
  const auto& budget = engine.fault_budget();
  scrape.one("weir_fault_held_bytes", "Bytes that faults hold now.", MetricType::Gauge,
             static_cast<double>(budget.held()));
  auto& full = scrape.family("weir_fault_queue_full_total",
                             "Times that a bound on what faults hold left a source unread.", MetricType::Counter);
  Scrape::add(full, {{"bound", "direction"}}, static_cast<double>(budget.direction_full()));
  Scrape::add(full, {{"bound", "process"}}, static_cast<double>(budget.process_full()));
  scrape.one("weir_observer_missed_events_total", "Session events that did not fit into a ring.", MetricType::Counter,
             static_cast<double>(events.missed()));
  scrape.one("weir_event_streams", "Event streams that are open now.", MetricType::Gauge,
             static_cast<double>(events.streams()));
  scrape.one("weir_api_connections", "HTTP connections that are open now.", MetricType::Gauge,
             static_cast<double>(http_connections));
  log_targets(scrape, log);
  scrape.one("weir_loop_lag_seconds", "How long the slowest loop took to answer this scrape.", MetricType::Gauge,
             std::chrono::duration<double>(lag).count());
  http::Response answer;
  answer.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  answer.body = scrape.text();
  return answer;
}

}  // namespace weir::api
