#include "proxy/setting_catalog.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/duration.h"

namespace weir::proxy {
namespace {

using event::TimeoutName;

constexpr std::string_view timeouts_group = "timeouts.";

// Rows of proxies' own settings; the timeouts have theirs in event/timeout_name.cpp.
auto own_settings() -> std::vector<SettingInfo> {
  using enum SettingKind;
  using enum TakesEffect;
  return {
      {"listen", listen, reopening, &ProxyRules::listen,
       "Where clients connect: 8888, :8888, host:port or unix:/path; port 0 picks one"},
      {.name = "upstream",
       .kind = upstream,
       .takes_effect = new_sessions,
       .place = &ProxyRules::upstream,
       .doc = "Where sessions are connected to: host:port or unix:/path; a name is looked up for each session",
       .required = true},
      {"enabled", flag, reopening, &ProxyRules::enabled, "Whether it listens; false closes its sessions too"},
      {.name = "on_connect_failure",
       .kind = word,
       .takes_effect = new_sessions,
       .place = &ProxyRules::on_connect_failure,
       .doc = "What a client gets when the upstream cannot be reached: reset (RST, as from a refused connect) or "
              "close (FIN, as toxiproxy does)",
       .words = {"reset", "close"}},  // in the order of OnConnectFailure
      {.name = "max_sessions",
       .kind = count,
       .takes_effect = new_sessions,
       .place = &ProxyRules::max_sessions,
       .doc = "Sessions at a time; further clients wait to be accepted; off: as many as there are descriptors for",
       .least = 1,
       .most = 1'000'000'000,
       .may_be_off = true},
      // Less than a read would never let one in; more than that is a slip of the pen.
      {"fault_queue_limit", size, new_sessions, &ProxyRules::fault_queue_limit,
       "Bytes that its faults may hold in one direction of one session; then the source is not read", 64 * 1024,
       std::uint64_t{1} << 40},
      {.name = "keepalive_count",
       .kind = count,
       .takes_effect = new_sessions,
       .place = &ProxyRules::keepalive_count,
       .doc = "Unanswered keepalive probes that end a session (TCP_KEEPCNT, tcp(7)); needs tcp.user_timeout=off; "
              "off: the system's",
       .least = 1,
       .most = 127,
       .may_be_off = true},
  };
}

// "timeouts." and its name, which must stay where it is.
auto names_of_timeouts() -> const std::vector<std::string>& {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& info : event::timeout_catalog())
      all.push_back(std::string(timeouts_group) + std::string(info.text));
    return all;
  }();
  return names;
}

// A session looks at its own clocks whenever it asks what is next; what came before, and what the kernel was
// told, is settled.
auto takes_effect(event::ClockPhase phase) -> TakesEffect {
  using enum event::ClockPhase;
  switch (phase) {
    case session:
    case relaying:
    case delivering_before_reset: return TakesEffect::open_sessions;
    case resolving:
    case connecting:
    case stopping:
    case kernel: break;
  }
  return TakesEffect::new_sessions;
}

auto make_catalog() -> std::vector<SettingInfo> {
  auto all = own_settings();
  for (const auto& info : event::timeout_catalog()) {
    // The process drains as a whole: there is no drain time of one proxy.
    if (info.name == TimeoutName::drain) continue;
    all.push_back({.name = names_of_timeouts()[static_cast<std::size_t>(info.name)],
                   .kind = SettingKind::duration,
                   .takes_effect = takes_effect(info.phase),
                   .place = info.name,
                   .doc = info.meaning,
                   .may_be_off = info.may_be_off});
  }
  return all;
}

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

auto joined(std::span<const std::string_view> words) -> std::string {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    out += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
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
auto show(const SettingInfo& setting, OnConnectFailure value) -> Written {
  return std::string(setting.words[static_cast<std::size_t>(value)]);
}
auto show(const SettingInfo&, std::optional<std::uint64_t> value) -> Written {
  return value ? Written{static_cast<std::int64_t>(*value)} : Written{};
}
auto show(const SettingInfo&, std::uint64_t value) -> Written { return std::to_string(value); }

}  // namespace

auto SettingInfo::group() const -> std::string_view {
  const auto dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
}

auto SettingInfo::name_in_group() const -> std::string_view {
  return group().empty() ? name : name.substr(group().size() + 1);
}

auto setting_catalog() -> std::span<const SettingInfo> {
  static const std::vector<SettingInfo> all = make_catalog();
  return all;
}

auto find_setting(std::string_view name) -> const SettingInfo* {
  for (const SettingInfo& each : setting_catalog()) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

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

auto describe_values(const SettingInfo& setting) -> std::string {
  const std::string off = setting.may_be_off ? ", or off" : "";
  switch (setting.kind) {
    case SettingKind::listen: return "8888, :8888, host:port or unix:/path, as a text";
    case SettingKind::upstream: return "host:port or unix:/path, as a text";
    case SettingKind::flag: return "true or false";
    case SettingKind::word: return joined(setting.words);
    case SettingKind::count: return fmt::format("a whole number from {} to {}{}", setting.least, setting.most, off);
    case SettingKind::size:
      return fmt::format("a number of bytes from {}KiB to {}GiB, such as 32MiB{}", setting.least >> 10,
                         setting.most >> 30, off);
    case SettingKind::duration: return "a duration such as 250ms, 1.5s or 10m" + off;
  }
  return "";
}

auto to_string(SettingKind kind) -> std::string_view {
  using enum SettingKind;
  switch (kind) {
    case listen: return "listen";
    case upstream: return "upstream";
    case flag: return "flag";
    case word: return "word";
    case count: return "count";
    case size: return "size";
    case duration: return "duration";
  }
  return "";
}

auto to_string(TakesEffect when) -> std::string_view {
  using enum TakesEffect;
  switch (when) {
    case open_sessions: return "open sessions";
    case new_sessions: return "new sessions";
    case reopening: return "reopening";
  }
  return "";
}

auto same(const SettingInfo& setting, const ProxyRules& a, const ProxyRules& b) -> bool {
  return std::visit(
      [&](auto place) {
        if constexpr (std::is_same_v<decltype(place), TimeoutName>) {
          return a.timeouts[place] == b.timeouts[place];
        } else {
          return a.*place == b.*place;
        }
      },
      setting.place);
}

void copy(const SettingInfo& setting, const ProxyRules& from, ProxyRules& to) {
  std::visit(
      [&](auto place) {
        if constexpr (std::is_same_v<decltype(place), TimeoutName>) {
          to.timeouts.set(place, from.timeouts[place]);
        } else {
          to.*place = from.*place;
        }
      },
      setting.place);
}

auto same(const ProxyRules& a, const ProxyRules& b) -> bool {
  return std::ranges::all_of(setting_catalog(), [&](const SettingInfo& each) { return same(each, a, b); });
}

namespace {

// tcp(7): TCP_KEEPIDLE and TCP_KEEPINTVL are at most 32,767 s, and TCP_USER_TIMEOUT an int of milliseconds.
struct KernelRange {
  TimeoutName name;
  Nanos most;
};
constexpr std::array kernel_ranges{
    KernelRange{TimeoutName::tcp_keepalive_idle, std::chrono::seconds{32'767}},
    KernelRange{TimeoutName::tcp_keepalive_interval, std::chrono::seconds{32'767}},
    KernelRange{TimeoutName::tcp_user_timeout, std::chrono::milliseconds{std::numeric_limits<int>::max()}},
};

}  // namespace

auto check(const ProxyRules& rules) -> std::optional<SettingProblem> {
  for (const auto& [name, most] : kernel_ranges) {
    if (const auto value = rules.timeouts[name]; value && *value > most) {
      return SettingProblem{names_of_timeouts()[static_cast<std::size_t>(name)],
                            fmt::format("the kernel takes at most {} (tcp(7))", canonical_duration(most))};
    }
  }
  if (!rules.keepalive_count) return std::nullopt;
  if (rules.timeouts[TimeoutName::tcp_user_timeout]) {
    return SettingProblem{"keepalive_count",
                          "it has no effect while the timeout tcp.user_timeout is set, as that ends probing itself "
                          "(tcp(7)); set tcp.user_timeout to off too"};
  }
  if (!rules.timeouts[TimeoutName::tcp_keepalive_idle]) {
    return SettingProblem{"keepalive_count",
                          "it has no effect while the timeout tcp.keepalive.idle is off: drop one of them"};
  }
  return std::nullopt;
}

auto rules_of_open_session(const ProxyRules& theirs, const ProxyRules& now) -> ProxyRules {
  ProxyRules merged = theirs;
  for (const SettingInfo& each : setting_catalog()) {
    if (each.takes_effect == TakesEffect::open_sessions) copy(each, now, merged);
  }
  return merged;
}

}  // namespace weir::proxy
