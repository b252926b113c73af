// What Weir's own log says of sessions: at level debug all of it, at level warning that an upstream cannot be reached.
#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "control/session_watch.h"

namespace weir::control {

// The control thread only. `log` and `clock` outlive it.
class SessionLog {
 public:
  explicit SessionLog(Log& log, const Clock& clock = SystemClock::instance()) : log_(log), clock_(clock) {}

  // `data`: the item's data with the proxy's name in it.
  void write(const SessionWatch::Item& item, const Json& data);

  // A proxy whose upstream is down has one line in this time, however many clients try; the next line counts the
  // sessions that had none.
  static constexpr Nanos quiet_for = std::chrono::seconds{10};
  // Of this many proxies at least it is remembered when their last line was.
  static constexpr std::size_t most_remembered = 16'384;

 private:
  struct Said {
    MonoTime at{};
    std::uint64_t unsaid = 0;  // sessions since then
  };

  void write_all_of_it(const std::string& type, const Json& data);
  void write_unreached(ProxyId proxy, const Json& data);

  Log& log_;
  const Clock& clock_;
  std::map<ProxyId, Said> said_;
};

}  // namespace weir::control
