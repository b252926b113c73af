#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "base/clock.h"

namespace weir {

// Counts durations in log-linear buckets, 16 to an octave (at most 6.25 % wide), from 1 ns to 292
// years, in 4 kB. Not thread-safe; merge copies.
class Histogram {
 public:
  void add(Nanos value) {
    ++counts_[bucket(static_cast<std::uint64_t>(value.count() < 0 ? 0 : value.count()))];
    ++total_;
  }
  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
  }
  [[nodiscard]] auto count() const -> std::uint64_t { return total_; }
  // The upper edge of the bucket that holds the q-th part (0..1) of the values; 0 if there are none.
  [[nodiscard]] auto percentile(double q) const -> Nanos {
    std::uint64_t left = static_cast<std::uint64_t>(q * static_cast<double>(total_));
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > left) return Nanos{static_cast<std::int64_t>(upper_edge(i))};
      left -= counts_[i];
    }
    return total_ == 0 ? Nanos{0} : Nanos{static_cast<std::int64_t>(upper_edge(counts_.size() - 1))};
  }

 private:
  static constexpr unsigned sub_bits = 4;
  static constexpr std::size_t buckets = (64 - sub_bits + 1) << sub_bits;

  static auto bucket(std::uint64_t value) -> std::size_t {
    if (value < (1u << sub_bits)) return value;
    const auto octave = static_cast<unsigned>(std::bit_width(value)) - sub_bits;
    const auto in_octave = (value >> (octave - 1)) & ((1u << sub_bits) - 1);
    return (std::size_t{octave} << sub_bits) + in_octave;
  }
  static auto upper_edge(std::size_t at) -> std::uint64_t {
    const std::size_t octave = at >> sub_bits;
    const std::uint64_t in_octave = at & ((1u << sub_bits) - 1);
    if (octave == 0) return in_octave;
    return (((std::uint64_t{1} << sub_bits) + in_octave + 1) << (octave - 1)) - 1;
  }

  std::array<std::uint32_t, buckets> counts_{};
  std::uint64_t total_ = 0;
};

}  // namespace weir
