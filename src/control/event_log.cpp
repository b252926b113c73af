#include "control/event_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "http/event_stream.h"

namespace weir::control {

namespace {

// The last id written goes to `seen`.
auto as_text(const std::vector<EventLog::Entry>& entries, std::uint64_t missed, std::uint64_t& seen) -> std::string {
  std::string text;
  if (missed > 0) http::append_gap(text, missed);
  for (const auto& entry : entries) {
    http::append_event(text, {.id = entry.id, .type = entry.type, .data = entry.data});
    seen = entry.id;
  }
  return text;
}

}  // namespace

class EventLog::Follower final : public http::BodyStream {
 public:
  Follower(EventLog& log, std::uint64_t seen) : log_(log), seen_(seen) { log_.followers_.push_back(this); }
  ~Follower() override { std::erase(log_.followers_, this); }
  Follower(const Follower&) = delete;
  auto operator=(const Follower&) -> Follower& = delete;

  auto begin(std::function<void()> wake) -> std::string override {
    wake_ = std::move(wake);
    return "retry: 1000\n\n";
  }
  auto more(std::size_t room) -> std::string override {
    constexpr std::size_t batch = 64;
    std::string text;
    while (text.size() < room) {
      std::uint64_t missed = 0;
      const auto entries = log_.after(seen_, batch, missed);
      text += as_text(entries, missed, seen_);
      if (entries.size() < batch) break;
    }
    return text;
  }
  [[nodiscard]] auto filler() const -> std::string_view override { return http::event_comment; }
  void wake() const {
    if (wake_) wake_();
  }

 private:
  EventLog& log_;
  std::uint64_t seen_;
  std::function<void()> wake_;
};

void EventLog::add(std::string type, const Json& data) {
  thread_.check("control::EventLog");
  Json timed = data;
  if (!timed.contains("time")) {
    timed["time"] = std::chrono::duration<double>(SystemClock::instance().wall().time_since_epoch()).count();
  }
  entries_.push_back({++last_id_, std::move(type), timed.dump(-1, ' ', true, Json::error_handler_t::replace)});
  if (entries_.size() > remembered) entries_.pop_front();  // mutant: event-log-grows
  for (const Follower* follower : followers_) follower->wake();
}

auto EventLog::after(std::uint64_t id, std::size_t most, std::uint64_t& missed) const -> std::vector<Entry> {
  thread_.check("control::EventLog");
  std::vector<Entry> found;
  // mutant: event-log-number-of-another-run
  id = std::min(id, last_id_);  // a number from another run of the process: begin anew
  const std::uint64_t first = entries_.empty() ? last_id_ + 1 : entries_.front().id;
  missed = id + 1 < first ? first - id - 1 : 0;  // mutant: event-log-gap-not-told
  const std::uint64_t from = std::max(id + 1, first);
  for (std::size_t at = from - first; at < entries_.size() && found.size() < most; ++at) found.push_back(entries_[at]);
  return found;
}

auto EventLog::so_far(std::uint64_t id) const -> std::string {
  std::uint64_t missed = 0;
  const auto entries = after(id, remembered, missed);
  return as_text(entries, missed, id);
}

auto EventLog::follow(std::uint64_t id) -> std::unique_ptr<http::BodyStream> {
  thread_.check("control::EventLog");
  if (followers_.size() >= most_streams) return nullptr;
  return std::make_unique<Follower>(*this, std::min(id, last_id_));
}

}  // namespace weir::control
