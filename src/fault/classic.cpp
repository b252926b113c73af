// toxiproxy's eight faults with its integers: see catalog.h.
#include "fault/catalog.h"

namespace weir::fault {

auto make_classic(std::string_view type, std::string name, Direction stream, double toxicity) -> Result<FaultSpec> {
  const FaultInfo* info = find_fault(type);
  if (info == nullptr || !info->classic) return failure("invalid toxic type");
  FaultSpec spec{.type = info,
                 .name = std::move(name),
                 .direction = stream == Direction::upstream ? FaultDirection::upstream : FaultDirection::downstream,
                 .probability = toxicity};
  for (const auto& attribute : info->attributes) {
    // All of toxiproxy's are 0 unless given, whatever our own default is.
    spec.values.push_back(attribute.classic_unit != 0 ? Value{std::int64_t{0}} : attribute.default_value);
  }
  return spec;
}

auto set_classic(FaultSpec& spec, std::string_view attribute, std::int64_t value) -> Result<bool> {
  const AttributeInfo* info = spec.type->attribute(attribute);
  if (info == nullptr || info->classic_unit == 0) return false;
  std::int64_t in_base_units = 0;
  if (__builtin_mul_overflow(value, info->classic_unit, &in_base_units)) {
    constexpr auto longest = std::numeric_limits<std::int64_t>::max();
    return failure(fmt::format("{}: {}: {} is out of range: write a number from -{} to {}", spec.type->type, attribute,
                               value, longest / info->classic_unit, longest / info->classic_unit));
  }
  spec.values[static_cast<std::size_t>(info - spec.type->attributes.data())] = in_base_units;
  return true;
}

auto classic_attributes(const FaultSpec& spec)
    -> std::optional<std::vector<std::pair<std::string_view, std::int64_t>>> {
  const bool plain = spec.type->classic && spec.direction != FaultDirection::both &&
                     spec.scope == FaultScope::session && !spec.match && spec.selector.on == nullptr &&
                     spec.after == After{Nanos{0}} && !spec.duration;
  if (!plain) return std::nullopt;
  std::vector<std::pair<std::string_view, std::int64_t>> shown;
  for (std::size_t i = 0; i < spec.values.size(); ++i) {
    const AttributeInfo& attribute = spec.type->attributes[i];
    if (attribute.classic_unit == 0) {
      if (spec.values[i] != attribute.default_value) return std::nullopt;
      continue;
    }
    const std::int64_t value = std::get<std::int64_t>(spec.values[i]);
    if (value % attribute.classic_unit != 0) return std::nullopt;
    shown.emplace_back(attribute.name, value / attribute.classic_unit);
  }
  return shown;
}

}  // namespace weir::fault
