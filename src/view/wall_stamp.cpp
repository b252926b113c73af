#include "view/wall_stamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "view/cursor.h"

namespace weir::view {
namespace {

struct Split {
  std::int64_t second;
  std::uint32_t micros;
};

auto split(WallTime time) -> Split {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  const auto micros = std::chrono::floor<std::chrono::microseconds>(time - second);
  return {second.time_since_epoch().count(), static_cast<std::uint32_t>(micros.count())};
}

auto offset_text(long seconds_east) -> std::string {
  const long minutes = std::labs(seconds_east) / 60;
  return fmt::format("UTC{}{:02}:{:02}", seconds_east < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

}  // namespace

LocalStamp::LocalStamp() { ::tzset(); }

auto LocalStamp::set(WallTime time) -> bool {
  const Split parts = split(time);
  const bool new_date = parts.second != second_ && set_second(parts.second);
  Cursor(time_.data() + 9).micros(parts.micros);
  return new_date;
}

auto LocalStamp::set_second(std::int64_t second) -> bool {
  second_ = second;
  const auto when = static_cast<std::time_t>(second);
  std::tm local{};
  ::localtime_r(&when, &local);
  fmt::format_to_n(time_.data(), 9, "{:02}:{:02}:{:02}.", local.tm_hour, local.tm_min, local.tm_sec);
  std::string date = fmt::format("{:04}-{:02}-{:02} ({})", local.tm_year + 1900, local.tm_mon + 1, local.tm_mday,
                                 offset_text(local.tm_gmtoff));
  if (date == date_) return false;
  date_ = std::move(date);
  return true;
}

void UtcStamp::set(WallTime time) {
  const Split parts = split(time);
  if (parts.second != second_) {
    second_ = parts.second;
    const auto when = static_cast<std::time_t>(parts.second);
    std::tm utc{};
    ::gmtime_r(&when, &utc);
    const auto year = std::clamp(utc.tm_year + 1900, 0, 9999);  // RFC 3339: four digits
    fmt::format_to_n(text_.data(), 20, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.", year, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec);
  }
  Cursor end(text_.data() + 20);
  end.micros(parts.micros);
  end.put('Z');
}

}  // namespace weir::view
