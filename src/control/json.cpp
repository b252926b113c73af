#include "control/json.h"

#include <fmt/format.h>

#include "base/json_shape.h"

template class nlohmann::basic_json<nlohmann::ordered_map>;
template class nlohmann::detail::serializer<nlohmann::ordered_json>;

namespace weir::control {

auto bad_shape(std::string_view text) -> std::string {
  switch (judge_json_shape(text, most_json_members)) {
    case JsonShape::too_deep: return fmt::format("it is nested deeper than {} levels", most_json_levels);
    case JsonShape::too_wide: return fmt::format("it has an object of more than {} members", most_json_members);
    case JsonShape::fine: break;
  }
  return "";
}

auto integer_of(const Json& value) -> std::optional<std::int64_t> {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) return std::nullopt;
  return value.get<std::int64_t>();
}

}  // namespace weir::control
