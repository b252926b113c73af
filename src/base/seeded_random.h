// Random numbers that can be asked for again: each is a function of a key and an index, so the same
// question has the same answer whatever was asked before, in whatever order, on whatever thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weir {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): one block of
// 128 random bits for a counter and a key.
[[nodiscard]] auto philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key)
    -> std::array<std::uint32_t, 4>;

// A key made of parts in order; no two different lists of parts are joined to the same text.
class RandomKey {
 public:
  explicit RandomKey(std::uint64_t seed) : state_(seed) {}
  auto with(std::uint64_t part) -> RandomKey&;
  auto with(std::string_view part) -> RandomKey&;
  [[nodiscard]] auto value() const -> std::uint64_t { return state_; }

 private:
  std::uint64_t state_;
};

// The draws of one key. Several series can be drawn at the same indexes without a relation between them.
class Draws {
 public:
  Draws() = default;
  explicit Draws(std::uint64_t key) : key_(key) {}

  [[nodiscard]] auto bits(std::uint64_t index, std::uint32_t series = 0) const -> std::uint64_t;
  // Uniform in [0, 1): 53 bits.
  [[nodiscard]] auto uniform(std::uint64_t index, std::uint32_t series = 0) const -> double;
  // Uniform in [least, most], least <= most.
  [[nodiscard]] auto integer(std::uint64_t index, std::int64_t least, std::int64_t most, std::uint32_t series = 0) const
      -> std::int64_t;

 private:
  std::uint64_t key_ = 0;
};

// A seed that nobody knows before, of 53 bits: a JSON number holds it exactly.
[[nodiscard]] auto random_seed() -> std::uint64_t;

// The value of a standard normal variable below which a part p of it lies, 0 < p < 1; the library's
// distributions differ between vendors. Relative error below 1.2e-9.
[[nodiscard]] auto normal_quantile(double p) -> double;
// The part of a standard normal variable that lies below z.
[[nodiscard]] auto normal_below(double z) -> double;

}  // namespace weir
