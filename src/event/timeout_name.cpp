#include "event/timeout_name.h"

#include <unistd.h>

#include "event/timeout_catalog.h"

namespace weir::event {

auto timeout_catalog() -> const std::array<TimeoutInfo, timeout_count>& { return timeout_rows; }

auto default_here(const TimeoutInfo& info) -> std::optional<Nanos> {
  static const bool is_process_one = ::getpid() == 1;
  return is_process_one && info.name == TimeoutName::drain ? drain_of_process_one : info.default_value;
}

auto to_string(TimeoutName name) -> std::string_view { return timeout_rows[static_cast<std::size_t>(name)].text; }

auto says_its_leg(TimeoutName name) -> bool {
  return to_string(name).ends_with(".client") || to_string(name).ends_with(".server");
}

auto find_timeout(std::string_view text) -> const TimeoutInfo* {
  for (const TimeoutInfo& info : timeout_rows) {
    if (info.text == text) return &info;
  }
  return nullptr;
}

}  // namespace weir::event
