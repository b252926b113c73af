#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::cni {

// SHA-512 (FIPS 180-4) of a short text. The names of chains, rules and links are made of it, so that other
// CNI plugins find them. Own code: libcrypto would add 5 MB to a program that lives for milliseconds.
[[nodiscard]] auto sha512(std::string_view text) -> std::array<std::uint8_t, 64>;

// The first `digits` (at most 128) hex digits of it, in lower case.
[[nodiscard]] auto sha512_hex(std::string_view text, std::size_t digits) -> std::string;

}  // namespace weir::cni
