#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/clock.h"

namespace weir::diagnose {

// The bytes of a message that came between its pauses.
struct Bursts {
  static constexpr std::size_t kept = 6;
  std::array<std::uint64_t, kept> first{};
  std::uint32_t count = 0;        // pauses inside the message
  std::uint32_t round_trips = 0;  // of these, pauses about as long as the leg's round trip
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();  // of the bursts from the third on
  std::uint64_t most = 0;
  std::uint64_t most_before = 0;  // of the messages before

  void begin_message() {
    std::uint64_t largest = std::max(most_before, most);
    for (const std::uint64_t each : first) largest = std::max(largest, each);
    *this = {};
    most_before = largest;
  }
  void add(std::uint64_t bytes, Nanos pause, Nanos round_trip) {
    if (count < kept) first.at(count) = bytes;
    if (count >= 2) {
      least = std::min(least, bytes);
      most = std::max(most, bytes);
    }
    ++count;
    if (is_round_trip(pause, round_trip)) ++round_trips;
  }
  // Whether a sender waited for an acknowledgement: a round trip, with what the path and a tick add.
  [[nodiscard]] static auto is_round_trip(Nanos pause, Nanos round_trip) -> bool {
    constexpr Nanos least_path = std::chrono::milliseconds{1};
    return round_trip >= least_path && 2 * pause >= round_trip && 10 * pause <= 16 * round_trip;
  }
};

// How many bytes came in each stretch of a message's time: sixteen stretches of equal length, which doubles as the
// message goes on.
class RateCurve {
 public:
  void begin(MonoTime now) {
    *this = {};
    begin_ = now;
  }
  void add(MonoTime now, std::uint64_t bytes) {
    if (now < begin_) return;
    while (now - begin_ >= width_ * static_cast<int>(slices)) widen();
    last_ = static_cast<std::size_t>((now - begin_) / width_);
    bytes_.at(last_) += bytes;
  }
  struct Rate {
    double bytes_a_second = 0;
    double variation = 0;  // the standard deviation of the stretches, as a share of their mean
  };
  // Without the first stretch, in which a bucket may be full, and the last, which is not; none if there are too few.
  [[nodiscard]] auto rate() const -> std::optional<Rate>;

 private:
  static constexpr std::size_t slices = 16;
  void widen();

  MonoTime begin_{};
  Nanos width_ = std::chrono::milliseconds{1};
  std::array<std::uint64_t, slices> bytes_{};
  std::size_t last_ = 0;
};

}  // namespace weir::diagnose
