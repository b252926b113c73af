// Requests and responses of fixed sizes over N connections. Closed loop: each connection sends its
// next request when the response is there. Open loop (--rate): requests are due at set times
// whatever happens, and a latency runs from that time, so that a stalled proxy is charged for every
// request it kept waiting (no coordinated omission).
#include <sys/prctl.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include "load.h"
#include "load_exchange.h"
#include "load_histogram.h"
#include "load_json.h"
#include "load_socket.h"
#include "load_watch.h"

namespace weir::load {

namespace {

constexpr double nanos = 1e9;

struct Settings {
  std::string address;
  std::uint64_t connections = 1;
  std::uint64_t stuck = 0;
  std::uint64_t stuck_bytes = 0;  // 0: without end
  std::uint32_t request_size = 64;
  std::uint32_t response_size = 64;
  std::uint64_t warmup = 0;    // ns
  std::uint64_t duration = 0;  // ns; not used if requests > 0
  std::uint64_t requests = 0;  // exactly that many, instead of a duration
  double rate = 0;             // per second over all connections; 0: closed loop
  bool poisson = false;
  std::uint64_t seed = 1;
  bool gate = false;
};

class RequestLoad {
 public:
  RequestLoad(Settings settings, const std::vector<std::string>& watched)
      : settings_(std::move(settings)), watch_(watched), random_(settings_.seed) {}

  void run();
  void print() const;

 private:
  struct Slot {
    Exchange exchange;
    std::uint64_t since = 0;            // sent (closed loop) or due (open loop)
    std::deque<std::uint64_t> waiting;  // due, but the connection is busy
    bool armed_write = false;
  };

  void connect_all();
  void turn(std::uint64_t deadline);
  void release_due(std::uint64_t now);
  void fire(std::size_t index, std::uint64_t since);
  void complete(std::size_t index, std::uint64_t now);
  void run_for(std::uint64_t duration);
  void run_requests(std::uint64_t count);
  void start_idle_slots();
  void settle(std::uint64_t at_most);
  [[nodiscard]] auto open_loop() const -> bool { return settings_.rate > 0; }
  [[nodiscard]] auto next_gap() -> std::uint64_t;

  Settings settings_;
  Watch watch_;
  Poller poller_;
  Histogram histogram_;
  std::mt19937_64 random_;
  std::vector<Slot> slots_;
  std::vector<Fd> stuck_;
  bool issuing_ = false;          // closed loop: a completion sends the next request
  std::uint64_t issue_left_ = 0;  // requests that may still be sent
  std::uint64_t outstanding_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t next_due_ = 0;
  std::size_t next_slot_ = 0;
  std::uint64_t window_begin_ = 0;
  std::uint64_t window_end_ = ~std::uint64_t{0};
  std::uint64_t window_completed_ = 0;
  std::uint64_t elapsed_ = 0;
  std::uint64_t unfinished_ = 0;
};

void RequestLoad::connect_all() {
  raise_descriptor_limit(settings_.connections + settings_.stuck + 64);
  for (std::uint64_t i = 0; i < settings_.stuck; ++i)
    stuck_.push_back(open_stuck_reader(settings_.address, settings_.stuck_bytes));
  slots_.reserve(settings_.connections);
  for (std::uint64_t i = 0; i < settings_.connections; ++i) {
    slots_.push_back(
        {Exchange(connect_to(settings_.address), settings_.request_size, settings_.response_size), 0, {}, false});
    poller_.add(slots_.back().exchange.fd(), EPOLLIN, i);
  }
}

auto RequestLoad::next_gap() -> std::uint64_t {
  if (!settings_.poisson) return static_cast<std::uint64_t>(nanos / settings_.rate);
  return static_cast<std::uint64_t>(std::exponential_distribution<double>(settings_.rate)(random_) * nanos);
}

void RequestLoad::fire(std::size_t index, std::uint64_t since) {
  Slot& slot = slots_[index];
  slot.since = since;
  ++outstanding_;
  slot.exchange.start();
  if (slot.exchange.wants_write()) {
    poller_.change(slot.exchange.fd(), EPOLLIN | EPOLLOUT, index);
    slot.armed_write = true;
  }
}

void RequestLoad::release_due(std::uint64_t now) {
  while (issuing_ && next_due_ <= now && next_due_ < window_end_) {
    Slot& slot = slots_[next_slot_];
    if (slot.exchange.busy()) {
      slot.waiting.push_back(next_due_);
    } else {
      fire(next_slot_, next_due_);
    }
    next_slot_ = (next_slot_ + 1) % slots_.size();
    next_due_ += next_gap();
  }
}

void RequestLoad::complete(std::size_t index, std::uint64_t now) {
  Slot& slot = slots_[index];
  --outstanding_;
  ++completed_;
  if (slot.since >= window_begin_ && slot.since < window_end_) histogram_.record(now - slot.since);
  if (open_loop()) {
    if (slot.waiting.empty()) return;
    const std::uint64_t due = slot.waiting.front();
    slot.waiting.pop_front();
    fire(index, due);
  } else if (issuing_ && issue_left_ > 0) {
    --issue_left_;
    fire(index, now);
  }
}

void RequestLoad::turn(std::uint64_t deadline) {
  if (open_loop() && issuing_) {
    release_due(now_nanos());
    deadline = std::min(deadline, next_due_);
  }
  for (const auto& event : poller_.wait_until(deadline)) {
    const std::size_t index = event.data.u64;
    Slot& slot = slots_[index];
    if ((event.events & EPOLLOUT) != 0) slot.exchange.on_writable();
    if (slot.armed_write && !slot.exchange.wants_write()) {
      poller_.change(slot.exchange.fd(), EPOLLIN, index);
      slot.armed_write = false;
    }
    if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0 && slot.exchange.on_readable()) {
      complete(index, now_nanos());
    }
  }
}

void RequestLoad::start_idle_slots() {
  if (open_loop()) {
    next_due_ = now_nanos();
    return;
  }
  for (std::size_t i = 0; i < slots_.size() && issue_left_ > 0; ++i) {
    if (slots_[i].exchange.busy()) continue;
    --issue_left_;
    fire(i, now_nanos());
  }
}

void RequestLoad::run_for(std::uint64_t duration) {
  issuing_ = true;
  issue_left_ = ~std::uint64_t{0};
  start_idle_slots();
  const std::uint64_t end = now_nanos() + duration;
  while (now_nanos() < end) turn(end);
}

void RequestLoad::run_requests(std::uint64_t count) {
  issuing_ = true;
  issue_left_ = count;
  const std::uint64_t target = completed_ + count;
  start_idle_slots();
  const std::uint64_t give_up = now_nanos() + 60 * std::uint64_t{1'000'000'000};
  while (completed_ < target) {
    turn(give_up);
    if (now_nanos() > give_up) throw LoadError("the requests did not complete within 60 s");
  }
}

void RequestLoad::settle(std::uint64_t at_most) {
  issuing_ = false;
  const auto busy = [this] {
    if (outstanding_ > 0) return true;
    return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.waiting.empty(); });
  };
  const std::uint64_t give_up = now_nanos() + at_most;
  while (busy() && now_nanos() < give_up) turn(give_up);
}

void RequestLoad::run() {
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);  // due times to the microsecond, not to 50 of them
  connect_all();
  run_for(settings_.warmup);
  if (settings_.gate) {
    settle(5'000'000'000);
    wait_at_gate("measure");
  }
  watch_.begin();
  histogram_.clear();
  window_begin_ = now_nanos();
  const std::uint64_t before = completed_;
  if (settings_.requests > 0) {
    run_requests(settings_.requests);
  } else {
    window_end_ = window_begin_ + settings_.duration;
    run_for(settings_.duration);
  }
  elapsed_ = now_nanos() - window_begin_;
  window_completed_ = completed_ - before;
  watch_.end();
  settle(open_loop() ? 3'000'000'000 : 1'000'000'000);
  // What never came back is charged at least the time it has waited so far.
  for (auto& slot : slots_) {
    unfinished_ += slot.waiting.size() + (slot.exchange.busy() ? 1 : 0);
    if (slot.exchange.busy() && slot.since < window_end_) histogram_.record(now_nanos() - slot.since);
    for (const std::uint64_t due : slot.waiting) histogram_.record(now_nanos() - due);
  }
  if (settings_.gate) wait_at_gate("done");
}

void RequestLoad::print() const {
  Json json;
  const double seconds = static_cast<double>(elapsed_) / nanos;
  json.add("mode", open_loop() ? "rr-open" : "rr-closed")
      .add("connections", settings_.connections)
      .add("request_size", std::uint64_t{settings_.request_size})
      .add("response_size", std::uint64_t{settings_.response_size})
      .add("seconds", seconds)
      .add("requests", window_completed_)
      .add("rate", static_cast<double>(window_completed_) / seconds)
      .add("unfinished", unfinished_)
      .add_latency(histogram_);
  if (open_loop()) json.add("intended_rate", settings_.rate);
  watch_.add_to(json);
  json.print();
}

}  // namespace

auto run_rr(Arguments arguments) -> int {
  Settings settings;
  settings.address = arguments.positional("the address to connect to");
  settings.connections = arguments.number("connections", 1, 1, 100'000);
  settings.stuck = arguments.number("stuck", 0, 0, 1000);
  settings.stuck_bytes = arguments.number("stuck-bytes", 0, 1, std::uint64_t{1} << 50U);
  settings.request_size = static_cast<std::uint32_t>(arguments.number("request", 64, sizeof(Header), max_message));
  settings.response_size = static_cast<std::uint32_t>(arguments.number("response", 64, 1, max_message));
  settings.warmup = static_cast<std::uint64_t>(arguments.real("warmup", 0.2, 0, 60) * nanos);
  settings.duration = static_cast<std::uint64_t>(arguments.real("seconds", 1, 0.01, 600) * nanos);
  settings.requests = arguments.number("requests", 0, 1, 100'000'000);
  settings.rate = arguments.real("rate", 0, 1, 10'000'000);
  settings.seed = arguments.number("seed", 1, 0, ~std::uint64_t{0});
  settings.gate = arguments.flag("gate");
  const std::string arrivals = arguments.text("arrivals", "even");
  if (arrivals != "even" && arrivals != "poisson") throw UsageError("--arrivals: expected even or poisson");
  settings.poisson = arrivals == "poisson";
  const auto watched = arguments.all("watch");
  arguments.finish();
  RequestLoad load(std::move(settings), watched);
  load.run();
  load.print();
  return 0;
}

}  // namespace weir::load
