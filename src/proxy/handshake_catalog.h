// Every handshake that a proxy may have before its stream, by the name that users give it: a new one is its
// file under handshakes/ and one row in handshake_catalog.cpp.
#pragma once

#include <span>
#include <string_view>

#include "proxy/handshake.h"

namespace weir::proxy {

// What users write for no handshake.
inline constexpr std::string_view no_handshake = "none";

// Lives as long as the program.
[[nodiscard]] auto handshake_catalog() -> std::span<const HandshakeInfo>;
// Null: there is none of that name.
[[nodiscard]] auto find_handshake(std::string_view name) -> const HandshakeInfo*;

}  // namespace weir::proxy
