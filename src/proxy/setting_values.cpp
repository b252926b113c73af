// Values of settings, from and to what users write. See setting_catalog.h.
#include <algorithm>
#include <charconv>

#include "base/duration.h"
#include "proxy/handshake_catalog.h"
#include "proxy/setting_catalog.h"

namespace weir::proxy {
namespace {

using event::TimeoutName;

auto info_of(TimeoutName name) -> const event::TimeoutInfo& {
  return event::timeout_catalog()[static_cast<std::size_t>(name)];
}

auto shown(const Written& value) -> std::string {
  constexpr std::size_t enough = 64;
  if (const auto* text = std::get_if<std::string>(&value)) return fmt::format("\"{}\"", text->substr(0, enough));
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *whole);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  return "null";
}

auto is_off(const Written& value) -> bool {
  return std::holds_alternative<std::monostate>(value) || value == Written{std::string("off")};
}

auto instead_of(const SettingInfo& setting, const Written& value) {
  return failure(fmt::format("write {}, not {}", describe_values(setting), shown(value)));
}

auto canonical_size(std::uint64_t bytes) -> std::string {
  for (const auto& [unit, shift] : {std::pair{"GiB", 30}, std::pair{"MiB", 20}, std::pair{"KiB", 10}}) {
    if (bytes != 0 && bytes % (std::uint64_t{1} << shift) == 0) return fmt::format("{}{}", bytes >> shift, unit);
  }
  return std::to_string(bytes);
}

auto number_in(const std::string& text) -> std::optional<std::int64_t> {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// --- one overload for each type of field ---

auto read(const SettingInfo& setting, const Written& value, ListenAddress& where) -> Result<void> {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return instead_of(setting, value);
  auto parsed = ListenAddress::parse(*text);
  if (!parsed) return tl::make_unexpected(parsed.error());
  where = *std::move(parsed);
  return {};
}

auto read(const SettingInfo& setting, const Written& value, UpstreamAddress& where) -> Result<void> {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return instead_of(setting, value);
  auto parsed = UpstreamAddress::parse(*text);
  if (!parsed) return tl::make_unexpected(parsed.error());
  where = *std::move(parsed);
  return {};
}

auto read(const SettingInfo& setting, const Written& value, bool& where) -> Result<void> {
  const auto* flag = std::get_if<bool>(&value);
  if (flag == nullptr) return instead_of(setting, value);
  where = *flag;
  return {};
}

auto read(const SettingInfo& setting, const Written& value, OnConnectFailure& where) -> Result<void> {
  const auto* text = std::get_if<std::string>(&value);
  const auto found = text == nullptr ? setting.words.end() : std::ranges::find(setting.words, *text);
  if (found == setting.words.end()) return instead_of(setting, value);
  where = static_cast<OnConnectFailure>(found - setting.words.begin());
  return {};
}

auto read(const SettingInfo& setting, const Written& value, const HandshakeInfo*& where) -> Result<void> {
  const auto* text = std::get_if<std::string>(&value);
  const HandshakeInfo* found = text == nullptr ? nullptr : find_handshake(*text);
  if (found == nullptr && value != Written{std::string(no_handshake)}) return instead_of(setting, value);
  where = found;
  return {};
}

auto read(const SettingInfo& setting, const Written& value, std::string& where) -> Result<void> {
  constexpr auto may_be_in_a_name = [](char each) {
    return (each >= 'a' && each <= 'z') || (each >= '0' && each <= '9') || each == '_' || each == '-';
  };
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || text->empty() || text->size() > setting.most ||
      !std::ranges::all_of(*text, may_be_in_a_name)) {
    return instead_of(setting, value);
  }
  where = *text;
  return {};
}

auto read(const SettingInfo& setting, const Written& value, std::optional<std::uint64_t>& where) -> Result<void> {
  if (setting.may_be_off && is_off(value)) {
    where.reset();
    return {};
  }
  const auto* whole = std::get_if<std::int64_t>(&value);
  if (whole == nullptr || *whole < 0 || static_cast<std::uint64_t>(*whole) < setting.least ||
      static_cast<std::uint64_t>(*whole) > setting.most) {
    return instead_of(setting, value);
  }
  where = static_cast<std::uint64_t>(*whole);
  return {};
}

auto read(const SettingInfo& setting, const Written& value, std::uint64_t& where) -> Result<void> {
  const auto* text = std::get_if<std::string>(&value);
  const auto* whole = std::get_if<std::int64_t>(&value);
  const auto bytes = text != nullptr                   ? parse_size(*text)
                     : whole != nullptr && *whole >= 0 ? Result<std::uint64_t>(static_cast<std::uint64_t>(*whole))
                                                       : Result<std::uint64_t>(failure(""));
  if (!bytes || *bytes < setting.least || *bytes > setting.most) return instead_of(setting, value);
  where = *bytes;
  return {};
}

auto show(const SettingInfo&, const ListenAddress& value) -> Written { return value.text; }
auto show(const SettingInfo&, const UpstreamAddress& value) -> Written { return value.text; }
auto show(const SettingInfo&, bool value) -> Written { return value; }
auto show(const SettingInfo&, const std::string& value) -> Written { return value; }
auto show(const SettingInfo& setting, OnConnectFailure value) -> Written {
  return std::string(setting.words[static_cast<std::size_t>(value)]);
}
auto show(const SettingInfo&, const HandshakeInfo* value) -> Written {
  return value == nullptr ? std::string(no_handshake) : value->name;
}
auto show(const SettingInfo&, std::optional<std::uint64_t> value) -> Written {
  return value ? Written{static_cast<std::int64_t>(*value)} : Written{};
}
auto show(const SettingInfo&, std::uint64_t value) -> Written { return std::to_string(value); }

}  // namespace

auto written(const SettingInfo& setting, std::string_view word) -> Written {
  const std::string text(word);
  if (setting.kind == SettingKind::flag && (text == "true" || text == "false")) return text == "true";
  if (setting.kind == SettingKind::count) {
    if (const auto number = number_in(text)) return *number;
  }
  return text;
}

auto read_timeout(const event::TimeoutInfo& info, const Written& value) -> Result<std::optional<Nanos>> {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr && !(info.may_be_off && is_off(value))) {
    return failure(fmt::format("write a duration with its unit in quotes, such as \"10m\"{}, not {}",
                               info.may_be_off ? " or \"off\"" : "", shown(value)));
  }
  if (text == nullptr) return std::optional<Nanos>();
  auto duration = parse_duration_or_off(*text);
  if (!duration) return duration;
  if (!*duration && !info.may_be_off) return failure("it cannot be off");
  if (*duration && **duration == Nanos{0}) {
    return failure("0 would end everything at once; use \"off\" for no limit");
  }
  return duration;
}

auto set(const SettingInfo& setting, ProxyRules& rules, const Written& value) -> Result<void> {
  if (const auto* name = std::get_if<TimeoutName>(&setting.place)) {
    const auto duration = read_timeout(info_of(*name), value);
    if (!duration) return tl::make_unexpected(duration.error());
    rules.timeouts.set(*name, *duration);
    return {};
  }
  return std::visit(
      [&](auto place) -> Result<void> {
        if constexpr (std::is_same_v<decltype(place), TimeoutName>) {
          return {};
        } else {
          return read(setting, value, rules.*place);
        }
      },
      setting.place);
}

auto get(const SettingInfo& setting, const ProxyRules& rules) -> Written {
  return std::visit(
      [&](auto place) -> Written {
        if constexpr (std::is_same_v<decltype(place), TimeoutName>) {
          const auto value = rules.timeouts[place];
          return value ? canonical_duration(*value) : "off";
        } else {
          return show(setting, rules.*place);
        }
      },
      setting.place);
}

auto format(const SettingInfo& setting, const ProxyRules& rules) -> std::string {
  const Written value = get(setting, rules);
  if (setting.kind == SettingKind::size) return canonical_size(std::stoull(std::get<std::string>(value)));
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return std::holds_alternative<std::monostate>(value) ? "off" : shown(value);
}

}  // namespace weir::proxy
