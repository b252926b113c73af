#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace weir::event {

// What a diagnosis says of one pause, in words that a view can print without knowing the diagnosis. No worker makes it:
// who judges hands it to who shows it.
struct Verdict {
  MonoTime time{};  // of the event that ended the pause
  ProxyId proxy{};
  SessionNumber session{};
  std::uint64_t exchange = 0;  // in the session, from 1; 0: before the first
  MonoTime begin{};
  Nanos length{};
  std::string_view cause{};      // its name; this and the two below live as long as the process
  std::string_view side{};       // "client", "server", "path.client", "path.server" or "weir"
  std::string_view certainty{};  // "likely", "shown" or "proven"
  std::string who{};
  std::string text{};                                                 // what was done, without a subject
  std::string fix{};                                                  // one sentence; empty: there is nothing to change
  std::vector<std::pair<std::string_view, std::int64_t>> evidence{};  // names that live as long, and their values
};

}  // namespace weir::event
