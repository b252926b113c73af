// The catalog describes every setting of a proxy once. The command line, the API and its schema, the
// configuration file, docs/settings.md, the completion and the Python client are made from it: a new setting
// is its field in rules.h, one row in setting_catalog.cpp, and its use.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "proxy/rules.h"

namespace weir::proxy {

enum class SettingKind : std::uint8_t {
  listen,    // an address to listen on; written 8888, :8888, host:port, unix:/path
  upstream,  // an address to connect to; written host:port, unix:/path
  flag,      // true or false
  word,      // one of `words`
  name,      // one of `words`, or a name that the kernel knows: at most `most` of a-z, 0-9, _ and -
  count,     // a whole number from `least` to `most`
  size,      // bytes from `least` to `most`; written 65536, 64KiB, 32MiB
  duration,  // written 250ms, 1.5s, 10m
};

// When a changed setting comes into force. Only `reopening` ends a session.
enum class TakesEffect : std::uint8_t {
  open_sessions,  // at once, in sessions that are open too
  new_sessions,   // in sessions that are accepted from then on; open ones keep what they began with
  reopening,      // at once: the listener closes, which ends the sessions, and opens again where it should
};

// Where its value stands in the rules: a field, or one of the timeouts.
using SettingPlace =
    std::variant<ListenAddress ProxyRules::*, UpstreamAddress ProxyRules::*, bool ProxyRules::*,
                 OnConnectFailure ProxyRules::*, std::string ProxyRules::*, std::optional<std::uint64_t> ProxyRules::*,
                 std::uint64_t ProxyRules::*, const HandshakeInfo * ProxyRules::*, event::TimeoutName>;

struct SettingInfo {
  std::string_view name;  // "max_sessions"; "timeouts.idle": of a group, which is an object in JSON and TOML
  SettingKind kind;
  TakesEffect takes_effect;
  SettingPlace place;
  std::string_view doc;  // one line
  // Of counts and sizes; `most` of names: how long they are.
  std::uint64_t least = 0;
  std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string_view> words = {};
  bool may_be_off = false;  // "off", or null in JSON, is a value: no limit, or the system's own
  bool required = false;    // there is no default

  // "timeouts" of "timeouts.idle"; empty if it belongs to no group.
  [[nodiscard]] auto group() const -> std::string_view;
  [[nodiscard]] auto name_in_group() const -> std::string_view;
};

// In the order of the documentation; members of a group follow each other.
[[nodiscard]] auto setting_catalog() -> std::span<const SettingInfo>;
[[nodiscard]] auto find_setting(std::string_view name) -> const SettingInfo*;

// A value as JSON and TOML tell values apart; monostate is null.
using Written = std::variant<std::monostate, bool, std::int64_t, double, std::string>;
// A word of the command line, as the setting's kind is written.
[[nodiscard]] auto written(const SettingInfo& setting, std::string_view word) -> Written;

// Sets one value. The error is a sentence that says what to write instead; it does not name the setting, and
// nothing is set.
[[nodiscard]] auto set(const SettingInfo& setting, ProxyRules& rules, const Written& value) -> Result<void>;
// A timeout's value, of a proxy or of the process. None: off.
[[nodiscard]] auto read_timeout(const event::TimeoutInfo& info, const Written& value) -> Result<std::optional<Nanos>>;
// The value in canonical form, which set() takes; an off is the text "off" for durations, else null.
[[nodiscard]] auto get(const SettingInfo& setting, const ProxyRules& rules) -> Written;
// The same as text, for people: "off", "reset", "32MiB", "1h".
[[nodiscard]] auto format(const SettingInfo& setting, const ProxyRules& rules) -> std::string;
// What a value may be: "a duration such as 10m, or off".
[[nodiscard]] auto describe_values(const SettingInfo& setting) -> std::string;
[[nodiscard]] auto to_string(SettingKind kind) -> std::string_view;
[[nodiscard]] auto to_string(TakesEffect when) -> std::string_view;

[[nodiscard]] auto same(const SettingInfo& setting, const ProxyRules& a, const ProxyRules& b) -> bool;
void copy(const SettingInfo& setting, const ProxyRules& from, ProxyRules& to);

// Whether the same is set in both. Unlike ==, which also compares the drain time, that is no setting of a proxy.
[[nodiscard]] auto same(const ProxyRules& a, const ProxyRules& b) -> bool;

// What reading a single value cannot see: values that exclude each other, and the kernel's ranges.
struct SettingProblem {
  std::string_view setting;  // the one to change
  std::string message;
};
[[nodiscard]] auto check(const ProxyRules& rules) -> std::optional<SettingProblem>;

// The rules of a session that began under `theirs` once its proxy's are `now`: what takes effect in open
// sessions is of `now`, the rest of `theirs`.
[[nodiscard]] auto rules_of_open_session(const ProxyRules& theirs, const ProxyRules& now) -> ProxyRules;

}  // namespace weir::proxy
