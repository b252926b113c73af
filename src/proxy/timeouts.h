#pragma once

#include <array>
#include <optional>

#include "event/timeout_name.h"

namespace weir::proxy {

// The value of every named timeout of a proxy; starts with the defaults of this process. No value: off.
class Timeouts {
 public:
  Timeouts() {
    for (const auto& info : event::timeout_catalog()) values_[static_cast<std::size_t>(info.name)] = default_here(info);
  }
  [[nodiscard]] auto operator[](event::TimeoutName name) const -> std::optional<Nanos> {
    return values_[static_cast<std::size_t>(name)];
  }
  auto operator==(const Timeouts&) const -> bool = default;
  void set(event::TimeoutName name, std::optional<Nanos> value) { values_[static_cast<std::size_t>(name)] = value; }

 private:
  std::array<std::optional<Nanos>, event::timeout_count> values_{};
};

}  // namespace weir::proxy
