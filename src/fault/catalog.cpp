#include "fault/catalog.h"

#include <algorithm>
#include <array>

#include "base/duration.h"

namespace weir::fault {

auto catalog() -> std::span<const FaultInfo* const> {
  static constexpr std::array all{
#define WEIR_FAULT(type) &type##_fault,
#include "fault/faults.def"
#undef WEIR_FAULT
  };
  return all;
}

auto find_fault(std::string_view type) -> const FaultInfo* {
  for (const FaultInfo* info : catalog()) {
    if (info->type == type) return info;
  }
  return nullptr;
}

auto FaultInfo::attribute(std::string_view name) const -> const AttributeInfo* {
  const auto found = std::ranges::find(attributes, name, &AttributeInfo::name);
  return found == attributes.end() ? nullptr : &*found;
}

auto describe_values(const AttributeInfo& attribute) -> std::string {
  switch (attribute.kind) {
    case AttributeKind::duration: return "a duration such as 100ms, 1.5s or 0";
    case AttributeKind::size: return "a number of bytes such as 4096, 64KiB or 10MB";
    case AttributeKind::rate: return "bytes per second such as 100KB/s, 1.5MB/s or 0";
    case AttributeKind::count:
      return attribute.most == std::numeric_limits<std::int64_t>::max()
                 ? fmt::format("a whole number from {}", attribute.least)
                 : fmt::format("a whole number from {} to {}", attribute.least, attribute.most);
    case AttributeKind::fraction: return "a number from 0 to 1";
    case AttributeKind::hex: return "bytes as hex digits such as 0a or deadbeef";
    case AttributeKind::word: break;
  }
  std::string words;
  for (std::size_t i = 0; i < attribute.words.size(); ++i) {
    words += i == 0 ? "" : i + 1 == attribute.words.size() ? " or " : ", ";
    words += attribute.words[i];
  }
  return words;
}

auto format_value(const AttributeInfo& attribute, const Value& value) -> std::string {
  const auto integer = [&] { return std::get<std::int64_t>(value); };
  switch (attribute.kind) {
    case AttributeKind::duration: return canonical_duration(Nanos{integer()});
    case AttributeKind::size:
    case AttributeKind::count: return fmt::format("{}", integer());
    case AttributeKind::rate:
      if (integer() == 0) return "0";
      return integer() % 1000 == 0 ? fmt::format("{}KB/s", integer() / 1000) : fmt::format("{}B/s", integer());
    case AttributeKind::fraction: return fmt::format("{}", std::get<double>(value));
    case AttributeKind::word: return std::get<std::string>(value);
    case AttributeKind::hex: break;
  }
  std::string digits;
  for (const char c : std::get<std::string>(value)) digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return digits;
}

auto check_fault(const FaultSpec& spec) -> Result<void> {
  for (std::size_t i = 0; i < spec.values.size(); ++i) {
    const AttributeInfo& attribute = spec.type->attributes[i];
    const auto* value = std::get_if<std::int64_t>(&spec.values[i]);
    if (value == nullptr || spec.values[i] == attribute.default_value) continue;
    if (*value >= attribute.least && *value <= attribute.most) continue;
    const std::string type = spec.type->type == attribute.name ? "" : fmt::format("{}: ", spec.type->type);
    return failure(fmt::format("{}{}: {} is {}: write {}{}", type, attribute.name,
                               format_value(attribute, spec.values[i]),
                               *value < attribute.least ? "too small" : "too large", describe_values(attribute),
                               attribute.kind == AttributeKind::count
                                   ? ""
                                   : fmt::format(", from {}", format_value(attribute, Value{attribute.least}))));
  }
  const Selector& selector = spec.selector;
  if (selector.on == nullptr && (selector.nth != 0 || selector.every != 0)) {
    return failure(fmt::format("{}: {}: it counts messages, so say of which kind: add on=line", spec.type->type,
                               selector.nth != 0 ? "nth" : "every"));
  }
  return spec.type->check != nullptr ? spec.type->check(spec) : Result<void>{};
}

}  // namespace weir::fault
