// A proxy's rules, and its settings' catalog, as JSON: made from proxy/setting_catalog.h, so that a new setting
// needs nothing here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/strict_fields.h"
#include "proxy/setting_catalog.h"

namespace weir::control {

// The keys of an object that holds settings: "listen", ..., "timeouts".
[[nodiscard]] auto setting_keys() -> const std::vector<std::string_view>&;

// Sets what `object` says of the rules and leaves the rest; keys that name no setting are passed over, as
// StrictFields has seen to them. What is wrong comes back, and `rules` is then of no use.
[[nodiscard]] auto read_rules(const Json& object, const std::string& path, proxy::ProxyRules& rules)
    -> std::optional<FieldError>;
// An object of timeouts, of the process: "drain" is among them.
[[nodiscard]] auto read_timeouts(const Json& object, const std::string& path, proxy::Timeouts& timeouts)
    -> std::optional<FieldError>;

// Every setting with its effective value, as read_rules takes it.
[[nodiscard]] auto rules_json(const proxy::ProxyRules& rules) -> Json;
[[nodiscard]] auto timeouts_json(const proxy::Timeouts& timeouts) -> Json;

// Every setting: name, kind, default, range, when it takes effect, and a line of doc.
[[nodiscard]] auto settings_catalog_json() -> Json;
// The schema of an object with any of them, for OpenAPI: properties by key. `answered`: in the one form that answers
// have; else in every form that is taken.
[[nodiscard]] auto settings_schema(bool answered) -> Json;
// Keys without which a proxy cannot be made.
[[nodiscard]] auto required_settings() -> std::vector<std::string>;

}  // namespace weir::control
