// What listen and upstream addresses have in common as users write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/address.h"
#include "base/result.h"

namespace weir {

// 0 to 65535, in digits alone.
[[nodiscard]] auto parse_port(std::string_view text) -> std::optional<std::uint16_t>;

// A Unix path, or a name in the abstract namespace after "@"; `whole` is the text that holds it, for the error.
[[nodiscard]] auto parse_unix_path(std::string_view whole, std::string_view path) -> Result<Address>;

// Views into the text.
struct HostPort {
  std::string_view host;  // without brackets; may be empty
  std::uint16_t port = 0;
  bool bracketed = false;
};

// "host:port" or "[v6]:port"; `forms` is the hint of what the caller accepts.
[[nodiscard]] auto split_host_port(std::string_view text, std::string_view forms) -> Result<HostPort>;

}  // namespace weir
