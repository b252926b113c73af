#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

namespace weir::cni {

// The attributes of a message or of an attribute. Views into the buffer they were made of.
class Attributes {
 public:
  explicit Attributes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] auto find(std::uint16_t type) const -> std::optional<std::span<const std::uint8_t>>;
  [[nodiscard]] auto text(std::uint16_t type) const -> std::string;   // "" if absent
  [[nodiscard]] auto nested(std::uint16_t type) const -> Attributes;  // empty if absent
  template <class T>
  [[nodiscard]] auto number(std::uint16_t type) const -> std::optional<T> {
    const auto found = find(type);
    if (!found || found->size() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, found->data(), sizeof(T));
    return value;
  }
  // Calls `each(type, value)` for all of them.
  template <class Each>
  auto for_each(Each each) const -> void {
    auto rest = bytes_;
    while (const auto one = take(rest)) each(one->type, one->value);
  }

 private:
  struct One {
    std::uint16_t type;
    std::span<const std::uint8_t> value;
  };
  static auto take(std::span<const std::uint8_t>& rest) -> std::optional<One>;
  std::span<const std::uint8_t> bytes_;
};

}  // namespace weir::cni
