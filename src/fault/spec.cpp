#include "fault/spec.h"

#include <algorithm>

#include "fault/catalog.h"

namespace weir::fault {
namespace {

auto value_of(const FaultSpec& spec, std::string_view attribute) -> const Value& {
  const auto& attributes = spec.type->attributes;
  const auto found = std::ranges::find(attributes, attribute, &AttributeInfo::name);
  return spec.values[static_cast<std::size_t>(found - attributes.begin())];
}

}  // namespace

auto FaultSpec::integer(std::string_view attribute) const -> std::int64_t {
  return std::get<std::int64_t>(value_of(*this, attribute));
}
auto FaultSpec::fraction(std::string_view attribute) const -> double {
  return std::get<double>(value_of(*this, attribute));
}
auto FaultSpec::text(std::string_view attribute) const -> const std::string& {
  return std::get<std::string>(value_of(*this, attribute));
}

auto same(const FaultSpec& a, const FaultSpec& b) -> bool {
  return a.type == b.type && a.name == b.name && a.direction == b.direction && a.probability == b.probability &&
         a.scope == b.scope && a.match == b.match && a.after == b.after && a.duration == b.duration &&
         a.selector == b.selector && a.values == b.values;
}

auto to_string(FaultDirection direction) -> std::string_view {
  switch (direction) {
    case FaultDirection::upstream: return "upstream";
    case FaultDirection::downstream: return "downstream";
    case FaultDirection::both: return "both";
  }
  return "";
}

auto to_string(FaultScope scope) -> std::string_view {
  switch (scope) {
    case FaultScope::session: return "session";
    case FaultScope::client: return "client";
    case FaultScope::proxy: return "proxy";
  }
  return "";
}

}  // namespace weir::fault
