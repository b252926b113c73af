#include "base/seeded_random.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace weir {
namespace {

// SplitMix64's finalizer (Steele, Lea, Flood 2014).
auto mix(std::uint64_t x) -> std::uint64_t {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

auto philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) -> std::array<std::uint32_t, 4> {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xd2511f53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xcd9e8d57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9e3779b9;
    key[1] += 0xbb67ae85;
  }
  return counter;
}

auto RandomKey::with(std::uint64_t part) -> RandomKey& {
  state_ = mix((state_ + 0x9e3779b97f4a7c15ULL) ^ mix(part + 0x632be59bd9b4e019ULL));
  return *this;
}

auto RandomKey::with(std::string_view part) -> RandomKey& {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return with(hash).with(part.size());
}

auto Draws::bits(std::uint64_t index, std::uint32_t series) const -> std::uint64_t {
  const auto block = philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), series, 0},
                            {static_cast<std::uint32_t>(key_), static_cast<std::uint32_t>(key_ >> 32)});
  return std::uint64_t{block[1]} << 32 | block[0];
}

auto Draws::uniform(std::uint64_t index, std::uint32_t series) const -> double {
  return static_cast<double>(bits(index, series) >> 11) * 0x1p-53;
}

auto Draws::integer(std::uint64_t index, std::int64_t least, std::int64_t most, std::uint32_t series) const
    -> std::int64_t {
  const auto span = static_cast<std::uint64_t>(most) - static_cast<std::uint64_t>(least) + 1;  // 0: all of them
  const std::uint64_t drawn = bits(index, series);
  if (span == 0) return static_cast<std::int64_t>(drawn);
  // The high half of the product (Lemire 2019): uneven by at most span / 2^64.
  __extension__ using Wide = unsigned __int128;
  const auto offset = static_cast<std::uint64_t>(static_cast<Wide>(drawn) * span >> 64);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(least) + offset);
}

// Acklam's rational approximations, one for the middle and one for each tail.
auto normal_quantile(double p) -> double {
  constexpr std::array a{-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                         1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr std::array b{-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01,
                         -1.328068155288572e+01};
  constexpr std::array c{-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                         -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr std::array d{7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00};
  constexpr double low = 0.02425;
  p = std::clamp(p, 0x1p-54, 1 - 0x1p-53);
  if (p < low || p > 1 - low) {
    const double q = std::sqrt(-2 * std::log(p < low ? p : 1 - p));
    const double z = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
                     ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    return p < low ? z : -z;
  }
  const double q = p - 0.5;
  const double r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
         (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

auto normal_below(double z) -> double { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

auto random_seed() -> std::uint64_t {
  std::random_device random;
  return ((std::uint64_t{random()} << 32U) | random()) >> 11U;
}

}  // namespace weir
