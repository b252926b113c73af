#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace weir::view {

// Wall times as text, made anew only when the second changes: localtime_r per chunk would cost more
// than all the rest of a header. One thread.

// The zone of the program: "14:03:07.123456", and the date for whoever wants to say it once.
class LocalStamp {
 public:
  LocalStamp();
  // true if the date or the zone's offset is another than at the last call, or at the first one.
  auto set(WallTime time) -> bool;
  [[nodiscard]] auto time_text() const -> std::string_view { return {time_.data(), time_.size()}; }
  // "2026-05-09 (UTC+02:00)"
  [[nodiscard]] auto date_text() const -> const std::string& { return date_; }

 private:
  auto set_second(std::int64_t second) -> bool;

  std::int64_t second_ = std::numeric_limits<std::int64_t>::min();
  std::array<char, 15> time_{};  // HH:MM:SS.uuuuuu
  std::string date_;
};

// RFC 3339 in UTC: "2026-05-09T12:03:07.123456Z".
class UtcStamp {
 public:
  void set(WallTime time);
  [[nodiscard]] auto text() const -> std::string_view { return {text_.data(), text_.size()}; }

 private:
  std::int64_t second_ = std::numeric_limits<std::int64_t>::min();
  std::array<char, 27> text_{};
};

}  // namespace weir::view
