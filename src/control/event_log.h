// What happened lately, for those who follow: changes of proxies and faults, sessions that opened and closed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/home_thread.h"
#include "control/json.h"
#include "http/message.h"

namespace weir::control {

// The last events, numbered from 1 without a gap, and the streams that follow them. A stream that asks for
// events which are forgotten is told how many it missed. The control thread only.
class EventLog {
 public:
  struct Entry {
    std::uint64_t id = 0;
    std::string type;
    std::string data;  // JSON, one line
  };

  void add(std::string type, const Json& data);
  // Those after `id`, at most `most`; `missed`: how many after `id` are forgotten.
  [[nodiscard]] auto after(std::uint64_t id, std::size_t most, std::uint64_t& missed) const -> std::vector<Entry>;
  // The same as server-sent events.
  [[nodiscard]] auto so_far(std::uint64_t id) const -> std::string;
  [[nodiscard]] auto last_id() const -> std::uint64_t { return last_id_; }

  // Server-sent events from after `id` on. Null: most_streams are there already.
  [[nodiscard]] auto follow(std::uint64_t id) -> std::unique_ptr<http::BodyStream>;
  // Session events that were lost before they came here.
  void count_missed(std::uint64_t events) {
    thread_.check("control::EventLog");
    missed_ += events;
  }
  [[nodiscard]] auto missed() const -> std::uint64_t { return missed_; }
  [[nodiscard]] auto streams() const -> std::size_t { return followers_.size(); }

  static constexpr std::size_t remembered = 4096;
  static constexpr std::size_t most_streams = 32;

 private:
  class Follower;
  HomeThread thread_;
  std::deque<Entry> entries_;
  std::uint64_t last_id_ = 0;
  std::uint64_t missed_ = 0;
  std::vector<Follower*> followers_;
};

}  // namespace weir::control
