// Faults from and to what users write: see catalog.h.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/duration.h"
#include "base/nearest.h"
#include "fault/catalog.h"

namespace weir::fault {
namespace {

using Written = decltype(Field::value);

constexpr std::string_view common_fields = "name, direction, probability, scope, match, after, for, on, nth and every";
constexpr std::size_t longest_name = 200;

auto shown(const Written& value) -> std::string {
  if (const auto* text = std::get_if<std::string>(&value)) return fmt::format("\"{}\"", *text);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  return std::get<bool>(value) ? "true" : "false";
}

auto text_of(const Written& value) -> const std::string* { return std::get_if<std::string>(&value); }

// As text, so that 0 and "0" are the same; other numbers need their unit.
auto with_unit(const Written& value, std::string_view expected) -> Result<std::string> {
  if (const auto* text = text_of(value)) return *text;
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (integer != nullptr && *integer == 0) return std::string("0");
  return failure(fmt::format("{} is not {}", shown(value), expected));
}

template <class Number>
auto number_in(std::string_view text) -> std::optional<Number> {
  Number value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

auto parse_fraction(const Written& value) -> Result<double> {
  std::optional<double> number;
  if (const auto* text = text_of(value)) number = number_in<double>(*text);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) number = static_cast<double>(*integer);
  if (const auto* real = std::get_if<double>(&value)) number = *real;
  if (!number || !(*number >= 0 && *number <= 1)) {
    return failure(fmt::format("{} is not a number from 0 to 1", shown(value)));
  }
  return *number;
}

auto parse_signed_duration(const AttributeInfo& attribute, const Written& value) -> Result<Value> {
  const auto text = with_unit(value, "a duration with its unit such as 100ms, 1.5s or 0");
  if (!text) return tl::make_unexpected(text.error());
  const bool negative = attribute.least < 0 && text->starts_with('-');
  return parse_duration(std::string_view(*text).substr(negative ? 1 : 0)).map([negative](Nanos time) {
    return Value{negative ? -time.count() : time.count()};
  });
}

auto parse_rate(const Written& value) -> Result<Value> {
  constexpr std::string_view expected = "bytes per second with their unit such as 100KB/s, 1.5MB/s or 0";
  const auto text = with_unit(value, expected);
  if (!text) return tl::make_unexpected(text.error());
  std::string_view amount = *text;
  if (amount.ends_with("/s")) amount.remove_suffix(2);
  const bool has_unit = !amount.empty() && (amount.back() < '0' || amount.back() > '9');
  const auto size = parse_size(amount);
  if (!size || (!has_unit && *size != 0)) return failure(fmt::format("{} is not {}", shown(value), expected));
  return Value{static_cast<std::int64_t>(*size)};
}

auto parse_whole(const AttributeInfo& attribute, const Written& value) -> Result<Value> {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return Value{*integer};
  if (const auto* text = text_of(value)) {
    if (attribute.kind == AttributeKind::size) {
      return parse_size(*text).map([](std::uint64_t size) { return Value{static_cast<std::int64_t>(size)}; });
    }
    if (const auto number = number_in<std::int64_t>(*text)) return Value{*number};
  }
  return failure(fmt::format("{} is not {}", shown(value), describe_values(attribute)));
}

auto parse_hex(const Written& value) -> Result<Value> {
  const auto* text = text_of(value);
  const auto bad = [&] {
    return failure(
        fmt::format("{} is not bytes as hex digits, two for each byte, such as 0a or deadbeef", shown(value)));
  };
  if (text == nullptr || text->size() % 2 != 0) return bad();
  std::string bytes;
  for (std::size_t i = 0; i < text->size(); i += 2) {
    unsigned byte = 0;
    const auto [stop, error] = std::from_chars(text->data() + i, text->data() + i + 2, byte, 16);
    if (error != std::errc{} || stop != text->data() + i + 2) return bad();
    bytes.push_back(static_cast<char>(byte));
  }
  return Value{std::move(bytes)};
}

auto parse_value(const AttributeInfo& attribute, const Written& value) -> Result<Value> {
  switch (attribute.kind) {
    case AttributeKind::duration: return parse_signed_duration(attribute, value);
    case AttributeKind::rate: return parse_rate(value);
    case AttributeKind::size:
    case AttributeKind::count: return parse_whole(attribute, value);
    case AttributeKind::fraction: return parse_fraction(value).map([](double x) { return Value{x}; });
    case AttributeKind::hex: return parse_hex(value);
    case AttributeKind::word: break;
  }
  const auto* text = text_of(value);
  if (text != nullptr && std::ranges::find(attribute.words, *text) != attribute.words.end()) return Value{*text};
  return failure(fmt::format("{} is not {}", shown(value), describe_values(attribute)));
}

auto parse_after(const Written& value) -> Result<After> {
  constexpr std::string_view expected = "a time such as 5s or a number of bytes with its unit such as 1000B or 64KiB";
  const auto text = with_unit(value, expected);
  if (!text) return tl::make_unexpected(text.error());
  if (const auto time = parse_duration(*text)) return After{*time};
  const bool has_unit = !text->empty() && (text->back() < '0' || text->back() > '9');
  const auto size = parse_size(*text);
  if (size && has_unit) return After{ByteOffset{*size}};
  return failure(fmt::format("{} is not {}", shown(value), expected));
}

// A word of a fixed set, as its place in it.
auto parse_word(const Written& value, std::initializer_list<std::string_view> words) -> Result<std::size_t> {
  const auto* text = text_of(value);
  const auto found = text == nullptr ? words.end() : std::ranges::find(words, *text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  return failure(fmt::format("{} is not one of {}", shown(value), fmt::join(words, ", ")));
}

template <class T, class U>
auto store(Result<T> parsed, U& where) -> Result<void> {
  if (!parsed) return tl::make_unexpected(parsed.error());
  where = static_cast<U>(*std::move(parsed));
  return {};
}

auto set_match(FaultSpec& spec, const Written& value) -> Result<void> {
  const auto* text = text_of(value);
  if (text == nullptr) return failure(fmt::format("{} is not an address or a network", shown(value)));
  spec.match_text = *text;
  if (text->empty()) {
    spec.match.reset();
    return {};
  }
  return store(ClientFilter::parse(*text), spec.match);
}

auto set_name(FaultSpec& spec, const Written& value) -> Result<void> {
  const auto* text = text_of(value);
  const auto odd = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '/' || c == 0x7f; };
  if (text == nullptr || text->empty() || text->size() > longest_name || std::ranges::any_of(*text, odd)) {
    return failure(fmt::format("{} is not a name: write 1 to {} characters without \"/\" and control characters",
                               shown(value), longest_name));
  }
  spec.name = *text;
  return {};
}

// What a message is: the name of a framer. Without a text the fault is for all bytes again.
auto set_on(FaultSpec& spec, const Written& value) -> Result<void> {
  const auto* text = text_of(value);
  if (text != nullptr && text->empty()) {
    spec.selector = {};
    return {};
  }
  const auto* info = text == nullptr ? nullptr : protocol::find_framer(*text);
  if (info != nullptr) {
    spec.selector.on = info;
    return {};
  }
  std::vector<std::string_view> names;
  for (const auto* each : protocol::framers()) names.push_back(each->name);
  const auto near = text == nullptr ? std::nullopt : nearest(*text, names);
  return failure(near ? fmt::format("there are no messages {}; did you mean \"{}\"?", shown(value), *near)
                      : fmt::format("there are no messages {}; there are {}", shown(value), fmt::join(names, ", ")));
}

// How messages are counted.
auto set_count(std::uint64_t& count, const Written& value) -> Result<void> {
  std::optional<std::int64_t> number;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) number = *integer;
  if (const auto* text = text_of(value)) {
    if (*text == "off") return count = 0, Result<void>{};
    number = number_in<std::int64_t>(*text);
  }
  if (!number || *number < 1) return failure(fmt::format("{} is not a whole number from 1, or off", shown(value)));
  count = static_cast<std::uint64_t>(*number);
  return {};
}

// Sets one of the fields that every fault has. Nothing: it is not one of them.
auto set_common(FaultSpec& spec, const Field& field) -> std::optional<Result<void>> {
  const bool stream = spec.type->phase == FaultPhase::stream;
  const auto& value = field.value;
  if (field.key == "name") return set_name(spec, value);
  if (field.key == "probability") return store(parse_fraction(value), spec.probability);
  if (field.key == "scope") return store(parse_word(value, {"session", "client", "proxy"}), spec.scope);
  if (field.key == "match") return set_match(spec, value);
  constexpr std::array of_streams{"direction", "after", "for", "on", "nth", "every"};
  if (std::ranges::find(of_streams, field.key) == of_streams.end()) return std::nullopt;
  if (!stream) {
    return failure(fmt::format("this fault acts before any byte passes, so it takes no {}: leave it out", field.key));
  }
  if (field.key == "direction") return store(parse_word(value, {"upstream", "downstream", "both"}), spec.direction);
  if (field.key == "after") return store(parse_after(value), spec.after);
  if (field.key == "on") return set_on(spec, value);
  if (field.key == "nth") return set_count(spec.selector.nth, value);
  if (field.key == "every") return set_count(spec.selector.every, value);
  const auto text = with_unit(value, "a duration with its unit such as 5s");
  if (!text) return tl::make_unexpected(text.error());
  const auto duration = parse_duration_or_off(*text);
  if (duration && *duration && **duration == Nanos{0}) {
    return failure("0 would be no time at all: leave it out, or write off, for no limit");
  }
  return store(duration, spec.duration);
}

auto set_field(FaultSpec& spec, const Field& field) -> Result<void> {
  const auto named = [&](Result<void> result) -> Result<void> {
    if (result) return result;
    // "latency: "abc" is ...", not "latency: latency: "abc" is ...".
    const std::string type = spec.type->type == field.key ? "" : fmt::format("{}: ", spec.type->type);
    return failure(fmt::format("{}{}: {}", type, field.key, result.error().message));
  };
  if (const AttributeInfo* attribute = spec.type->attribute(field.key)) {
    const auto place = static_cast<std::size_t>(attribute - spec.type->attributes.data());
    return named(store(parse_value(*attribute, field.value), spec.values[place]));
  }
  if (auto common = set_common(spec, field)) return named(*std::move(common));
  std::string own;
  for (const auto& attribute : spec.type->attributes) own += fmt::format("{}, ", attribute.name);
  return failure(
      fmt::format("{}: there is no field \"{}\"; it has {}{}", spec.type->type, field.key, own, common_fields));
}

auto default_name(const FaultSpec& spec) -> std::string {
  if (spec.type->phase != FaultPhase::stream) return std::string(spec.type->type);
  return fmt::format("{}_{}", spec.type->type, to_string(spec.direction));
}

auto blank(const FaultInfo& info) -> FaultSpec {
  FaultSpec spec{.type = &info, .direction = info.default_direction};
  for (const auto& attribute : info.attributes) spec.values.push_back(attribute.default_value);
  return spec;
}

}  // namespace

auto make_fault(std::span<const Field> fields) -> Result<FaultSpec> {
  const auto type = std::ranges::find(fields, "type", &Field::key);
  if (type == fields.end()) return failure("type: it is missing: name the fault, such as latency");
  const auto* name = text_of(type->value);
  const FaultInfo* info = name == nullptr ? nullptr : find_fault(*name);
  if (info == nullptr) {
    std::string all;
    for (const FaultInfo* each : catalog()) all += fmt::format("{}{}", all.empty() ? "" : ", ", each->type);
    return failure(fmt::format("type: there is no fault {}; the faults are {}", shown(type->value), all));
  }
  FaultSpec spec = blank(*info);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Field& field = fields[i];
    const auto same_key = [&](const Field& other) { return other.key == field.key; };
    if (std::any_of(fields.begin(), fields.begin() + static_cast<std::ptrdiff_t>(i), same_key)) {
      return failure(fmt::format("{}: {} is given twice: drop one of them", info->type, field.key));
    }
    if (&field == &*type) continue;
    if (auto set = set_field(spec, field); !set) return tl::make_unexpected(set.error());
  }
  if (spec.name.empty()) spec.name = default_name(spec);
  if (auto checked = check_fault(spec); !checked) return tl::make_unexpected(checked.error());
  return spec;
}

auto change_fault(const FaultSpec& now, std::span<const Field> fields) -> Result<FaultSpec> {
  FaultSpec spec = now;
  for (const Field& field : fields) {
    if (field.key == "type") {
      const auto* text = text_of(field.value);
      if (text != nullptr && *text == now.type->type) continue;
      return failure(fmt::format("type: a fault stays a {}: remove it and add another", now.type->type));
    }
    if (auto set = set_field(spec, field); !set) return tl::make_unexpected(set.error());
    const bool moved = spec.name != now.name || spec.direction != now.direction;
    if (moved) {
      return failure(
          fmt::format("{}: {}: it cannot be changed: remove the fault and add another", now.type->type, field.key));
    }
  }
  if (auto checked = check_fault(spec); !checked) return tl::make_unexpected(checked.error());
  return spec;
}

auto parse_fault(std::string_view text) -> Result<FaultSpec> {
  std::vector<Field> fields;
  while (true) {
    const auto begin = text.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
    text.remove_prefix(word.size());
    const auto equals = word.find('=');
    if (fields.empty()) {
      fields.push_back({"type", std::string(word)});
    } else if (equals == std::string_view::npos) {
      return failure(fmt::format("\"{}\" is not a field: write NAME=VALUE, such as latency=100ms", word));
    } else {
      fields.push_back({std::string(word.substr(0, equals)), std::string(word.substr(equals + 1))});
    }
  }
  if (fields.empty()) return failure("it is empty: write a fault, such as \"latency latency=100ms\"");
  return make_fault(fields);
}

auto to_fields(const FaultSpec& spec) -> std::vector<Field> {
  std::vector<Field> fields{{"type", std::string(spec.type->type)}, {"name", spec.name}};
  if (spec.type->phase == FaultPhase::stream) fields.push_back({"direction", std::string(to_string(spec.direction))});
  fields.push_back({"probability", spec.probability});
  fields.push_back({"scope", std::string(to_string(spec.scope))});
  if (spec.match) fields.push_back({"match", spec.match_text});
  if (const auto* offset = std::get_if<ByteOffset>(&spec.after)) {
    fields.push_back({"after", fmt::format("{}B", offset->bytes)});
  } else if (const Nanos time = std::get<Nanos>(spec.after); time.count() != 0) {
    fields.push_back({"after", canonical_duration(time)});
  }
  if (spec.duration) fields.push_back({"for", canonical_duration(*spec.duration)});
  if (spec.selector.on != nullptr) fields.push_back({"on", std::string(spec.selector.on->name)});
  for (const auto& [key, count] : {std::pair{"nth", spec.selector.nth}, std::pair{"every", spec.selector.every}}) {
    if (count != 0) fields.push_back({key, static_cast<std::int64_t>(count)});
  }
  for (std::size_t i = 0; i < spec.values.size(); ++i) {
    const AttributeInfo& attribute = spec.type->attributes[i];
    const Value& value = spec.values[i];
    if (attribute.optional && value == attribute.default_value) continue;
    Field field{std::string(attribute.name), format_value(attribute, value)};
    if (attribute.kind == AttributeKind::size || attribute.kind == AttributeKind::count) {
      field.value = std::get<std::int64_t>(value);
    }
    if (attribute.kind == AttributeKind::fraction) field.value = std::get<double>(value);
    fields.push_back(std::move(field));
  }
  return fields;
}

}  // namespace weir::fault
