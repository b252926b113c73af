#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/address.h"
#include "base/result.h"

namespace weir {

// Where to connect: host:port, [v6]:port, unix:/path. A name stays a name until a client connects.
struct UpstreamAddress {
  struct Name {
    std::string host;
    std::uint16_t port = 0;
    auto operator==(const Name&) const -> bool = default;
  };
  std::variant<Address, Name> target;
  std::string text;  // as the user wrote it
  [[nodiscard]] static auto parse(std::string_view text) -> Result<UpstreamAddress>;
  auto operator==(const UpstreamAddress&) const -> bool = default;
};

}  // namespace weir
