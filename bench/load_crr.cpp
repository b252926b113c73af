// Connect, one request, its response, close: new connections as fast as they come, a few at a time.
#include <sys/socket.h>

#include <cerrno>
#include <optional>
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
  std::uint64_t parallel = 16;
  std::uint32_t request_size = 64;
  std::uint32_t response_size = 64;
  std::uint64_t warmup = 0;
  std::uint64_t duration = 0;
};

class ConnectionLoad {
 public:
  ConnectionLoad(Settings settings, const std::vector<std::string>& watched)
      : settings_(std::move(settings)), watch_(watched), slots_(settings_.parallel) {}

  void run() {
    for (std::size_t i = 0; i < slots_.size(); ++i) open(i);
    run_until(now_nanos() + settings_.warmup);
    watch_.begin();
    histogram_.clear();
    const std::uint64_t before = completed_;
    window_begin_ = now_nanos();
    run_until(window_begin_ + settings_.duration);
    elapsed_ = now_nanos() - window_begin_;
    completed_ -= before;
    watch_.end();
  }

  void print() const {
    const double seconds = static_cast<double>(elapsed_) / nanos;
    Json json;
    json.add("mode", "crr")
        .add("parallel", settings_.parallel)
        .add("seconds", seconds)
        .add("requests", completed_)
        .add("rate", static_cast<double>(completed_) / seconds)
        .add_latency(histogram_);
    watch_.add_to(json);
    json.print();
  }

 private:
  struct Slot {
    std::optional<Exchange> exchange;
    std::uint64_t began = 0;
  };

  void open(std::size_t index) {
    Slot& slot = slots_[index];
    slot.began = now_nanos();
    slot.exchange.emplace(start_connect(settings_.address), settings_.request_size, settings_.response_size);
    poller_.add(slot.exchange->fd(), EPOLLOUT, index);
  }

  void on_event(std::size_t index, std::uint32_t events) {
    Slot& slot = slots_[index];
    if ((events & EPOLLOUT) != 0) {
      if (slot.exchange->busy()) {
        slot.exchange->on_writable();
      } else {
        slot.exchange->start();  // a failed connect shows itself here, as send's error
      }
      if (!slot.exchange->wants_write()) poller_.change(slot.exchange->fd(), EPOLLIN, index);
      return;
    }
    if (!slot.exchange->on_readable()) return;
    slot.exchange.reset();  // closes: FIN, as the response was read whole
    const std::uint64_t now = now_nanos();
    ++completed_;
    if (slot.began >= window_begin_) histogram_.record(now - slot.began);
    open(index);
  }

  void run_until(std::uint64_t end) {
    while (now_nanos() < end) {
      for (const auto& event : poller_.wait_until(end)) on_event(event.data.u64, event.events);
    }
  }

  Settings settings_;
  Watch watch_;
  Poller poller_;
  Histogram histogram_;
  std::vector<Slot> slots_;
  std::uint64_t completed_ = 0;
  std::uint64_t window_begin_ = 0;
  std::uint64_t elapsed_ = 0;
};

}  // namespace

auto run_crr(Arguments arguments) -> int {
  Settings settings;
  settings.address = arguments.positional("the address to connect to");
  settings.parallel = arguments.number("parallel", 16, 1, 1000);
  settings.request_size = static_cast<std::uint32_t>(arguments.number("request", 64, sizeof(Header), max_message));
  settings.response_size = static_cast<std::uint32_t>(arguments.number("response", 64, 1, max_message));
  settings.warmup = static_cast<std::uint64_t>(arguments.real("warmup", 0.2, 0, 60) * nanos);
  settings.duration = static_cast<std::uint64_t>(arguments.real("seconds", 1, 0.01, 600) * nanos);
  const auto watched = arguments.all("watch");
  arguments.finish();
  ConnectionLoad load(std::move(settings), watched);
  load.run();
  load.print();
  return 0;
}

}  // namespace weir::load
