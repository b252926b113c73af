#include "base/duration.h"

#include <array>
#include <charconv>
#include <cmath>
#include <span>

namespace weir {
namespace {

struct Unit {
  std::string_view name;
  double scale;
};

constexpr std::array<Unit, 7> duration_units{
    {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}}};

constexpr std::array<Unit, 16> size_units{{{"", 1},
                                           {"B", 1},
                                           {"k", 1024},
                                           {"K", 1024},
                                           {"KiB", 1024},
                                           {"kB", 1000},
                                           {"KB", 1000},
                                           {"M", 1048576},
                                           {"MiB", 1048576},
                                           {"MB", 1e6},
                                           {"G", 1073741824},
                                           {"GiB", 1073741824},
                                           {"GB", 1e9},
                                           {"T", 1099511627776},
                                           {"TiB", 1099511627776},
                                           {"TB", 1e12}}};

constexpr double longest_ns = 10 * 365.25 * 86400e9;
constexpr double largest_size = 9.0e18;

struct Amount {
  double value;
  std::string_view unit;
};

// A plain decimal number and what follows it; no sign, no exponent, no "inf".
auto split_amount(std::string_view text) -> std::optional<Amount> {
  std::size_t end = 0;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) ++end;
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + end, value, std::chars_format::fixed);
  if (error != std::errc{} || stop != text.data() + end) return std::nullopt;
  return Amount{value, text.substr(end)};
}

auto scale_of(std::span<const Unit> units, std::string_view name) -> std::optional<double> {
  for (const Unit& unit : units) {
    if (unit.name == name) return unit.scale;
  }
  return std::nullopt;
}

}  // namespace

auto parse_duration(std::string_view text) -> Result<Nanos> {
  if (text == "0") return Nanos{0};
  const auto bad = [text] {
    return failure(
        fmt::format("\"{}\" is not a duration: write a number and a unit, such as 250ms, 1.5s, 10m or 2h", text));
  };
  const auto amount = split_amount(text);
  if (!amount) return bad();
  const auto scale = scale_of(duration_units, amount->unit);
  if (!scale) return bad();
  const double ns = amount->value * *scale;
  if (ns > longest_ns) return failure(fmt::format("\"{}\" is longer than 10 years: use \"off\" for no limit", text));
  return Nanos{std::llround(ns)};
}

auto parse_duration_or_off(std::string_view text) -> Result<std::optional<Nanos>> {
  if (text == "off") return std::optional<Nanos>{};
  return parse_duration(text).map([](Nanos ns) { return std::optional<Nanos>{ns}; });
}

auto format_duration(Nanos duration) -> std::string {
  const auto ns = duration.count();
  const auto figures = [](double value, std::string_view unit) {
    const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f}{}", value, decimals, unit);
  };
  if (ns == 0) return "0s";
  if (ns < 0) return "-" + format_duration(-duration);
  if (ns < 1000) return fmt::format("{}ns", ns);
  const auto value = static_cast<double>(ns);
  if (value < 999.5e3) return figures(value / 1e3, "us");
  if (value < 999.5e6) return figures(value / 1e6, "ms");
  // Seconds keep one decimal from 10 s on ("30.0s"), so that a timeout reads as what was set.
  if (value < 9.995e9) return fmt::format("{:.2f}s", value / 1e9);
  if (value < 119.95e9) return fmt::format("{:.1f}s", value / 1e9);
  const auto seconds = std::llround(value / 1e9);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
}

auto canonical_duration(Nanos duration) -> std::string {
  const auto ns = duration.count();
  if (ns == 0) return "0";
  constexpr std::array<std::pair<std::int64_t, std::string_view>, 6> wholes{{{3'600'000'000'000, "h"},
                                                                             {60'000'000'000, "m"},
                                                                             {1'000'000'000, "s"},
                                                                             {1'000'000, "ms"},
                                                                             {1'000, "us"},
                                                                             {1, "ns"}}};
  for (const auto& [scale, unit] : wholes) {
    if (ns % scale == 0) return fmt::format("{}{}", ns / scale, unit);
  }
  return fmt::format("{}ns", ns);
}

auto parse_size(std::string_view text) -> Result<std::uint64_t> {
  const auto amount = split_amount(text);
  const auto scale = amount ? scale_of(size_units, amount->unit) : std::nullopt;
  if (!scale) {
    return failure(fmt::format(
        "\"{}\" is not a size: write a number of bytes, with a unit if you like, such as 4096, 64KiB or 10MB", text));
  }
  const double bytes = amount->value * *scale;
  if (bytes > largest_size) return failure(fmt::format("\"{}\" is more than 9 EB", text));
  return static_cast<std::uint64_t>(std::llround(bytes));
}

auto format_size(std::uint64_t bytes) -> std::string {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  constexpr std::array<std::string_view, 4> names{"kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < names.size()) {
    value /= 1000;
    ++unit;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, names[unit]);
}

}  // namespace weir
