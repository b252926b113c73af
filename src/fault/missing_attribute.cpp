#include "fault/missing_attribute.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace weir::fault {
namespace {

// The attributes without one of which a fault is no fault, and what to write. Others have a default that means
// something, such as reset_peer's "at once".
struct Needed {
  std::string_view type;
  std::vector<std::string_view> one_of;
  std::string_view example;
};
auto needed() -> const std::vector<Needed>& {
  static const std::vector<Needed> all{{"latency", {"latency", "jitter"}, "latency=100ms"},
                                       {"bandwidth", {"rate"}, "rate=100KB/s"},
                                       {"slow_close", {"delay"}, "delay=2s"},
                                       {"slicer", {"average_size"}, "average_size=64"},
                                       {"limit_data", {"bytes"}, "bytes=64KiB"},
                                       {"accept_delay", {"delay"}, "delay=2s"},
                                       {"connect_delay", {"delay"}, "delay=2s"},
                                       {"first_byte_delay", {"delay"}, "delay=2s"},
                                       {"loss", {"rate"}, "rate=0.02"}};
  return all;
}

}  // namespace

auto missing_attribute(std::string_view type, std::span<const std::string> given) -> std::string {
  const auto need = std::ranges::find(needed(), type, &Needed::type);
  if (need == needed().end()) return "";
  const bool has = std::ranges::any_of(
      given, [&](const std::string& key) { return std::ranges::find(need->one_of, key) != need->one_of.end(); });
  if (has) return "";
  return fmt::format("{}: without {} it is no such fault: write it, such as {} {}", type, need->one_of.front(), type,
                     need->example);
}

}  // namespace weir::fault
