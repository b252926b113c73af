// Durations and byte sizes as people write and read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace weir {

// Parses "250ms", "1.5s", "10m", "2h", "1d", "40us", "100ns". A unit is required, except for "0".
// Range 0 .. 10 years. The error says what was got and what is expected.
[[nodiscard]] auto parse_duration(std::string_view text) -> Result<Nanos>;

// As parse_duration, and "off" gives no value.
[[nodiscard]] auto parse_duration_or_off(std::string_view text) -> Result<std::optional<Nanos>>;

// For people: three significant figures at most and the unit that fits: "41.3us", "250ms", "30.0s",
// "12m30s", "3h05m". 0 is "0s".
[[nodiscard]] auto format_duration(Nanos duration) -> std::string;

// The shortest text that parse_duration reads back to the same value ("90s" stays "90s" as "1m30s"
// is not accepted): for --help and effective configuration.
[[nodiscard]] auto canonical_duration(Nanos duration) -> std::string;

// Parses "4096", "64k"/"64KiB", "10M"/"10MiB", "1G"/"1GiB", "1T"/"1TiB" (powers of 1024) and "10MB" (of 1000).
[[nodiscard]] auto parse_size(std::string_view text) -> Result<std::uint64_t>;

// For people: "296 B", "41.5 kB", "1.20 MB", "3.00 GB" (powers of 1000).
[[nodiscard]] auto format_size(std::uint64_t bytes) -> std::string;

}  // namespace weir
