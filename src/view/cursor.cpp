#include "view/cursor.h"

#include "base/duration.h"

namespace weir::view {
namespace {

// Three significant figures of count/unit, rounded half up.
void figures(Cursor& out, std::uint64_t count, std::uint64_t unit, std::string_view name) {
  if (count * 1000 < unit * 9995) {  // below 9.995: two decimals
    const std::uint64_t hundredths = (count * 100 + unit / 2) / unit;
    out.number(hundredths / 100);
    out.put('.');
    out.put(static_cast<char>('0' + hundredths / 10 % 10));
    out.put(static_cast<char>('0' + hundredths % 10));
  } else if (count * 1000 < unit * 99950) {  // below 99.95: one
    const std::uint64_t tenths = (count * 10 + unit / 2) / unit;
    out.number(tenths / 10);
    out.put('.');
    out.put(static_cast<char>('0' + tenths % 10));
  } else {
    out.number((count + unit / 2) / unit);
  }
  out.put(name);
}

}  // namespace

void Cursor::duration(Nanos value) {
  const auto count = static_cast<std::uint64_t>(value.count());
  if (value.count() >= 1'000 && count < 999'500) return figures(*this, count, 1'000, "us");
  if (value.count() >= 999'500 && count < 999'500'000) return figures(*this, count, 1'000'000, "ms");
  put(format_duration(value));  // nothing, nanoseconds, or so long that its cost does not matter
}

}  // namespace weir::view
