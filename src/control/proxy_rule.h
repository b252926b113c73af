// Proxies and faults as the native API and the configuration file write them.
#pragma once

#include "control/registry.h"
#include "control/strict_fields.h"
#include "fault/catalog.h"

namespace weir::control {

struct ProxyRule {
  ProxyWish wish;
  fault::FaultList faults;
};
template <class T>
using Read = tl::expected<T, FieldError>;

// A whole proxy: name and upstream are required, the rest has defaults.
[[nodiscard]] auto read_rule(const Json& object, const std::string& path, const proxy::Timeouts& defaults)
    -> Read<ProxyRule>;
// The same proxy with the fields that are given changed; its name may only be given as it is. Faults are
// changed by their own routes.
[[nodiscard]] auto read_changes(const Json& object, const ProxyWish& now) -> Read<ProxyWish>;
[[nodiscard]] auto read_timeouts(const Json& object, const std::string& path, proxy::Timeouts timeouts)
    -> Read<proxy::Timeouts>;
[[nodiscard]] auto read_fault(const Json& object, const std::string& path) -> Read<fault::FaultSpec>;
[[nodiscard]] auto read_fault_changes(const Json& object, const fault::FaultSpec& now) -> Read<fault::FaultSpec>;

[[nodiscard]] auto proxy_json(const ProxyEntry& entry, const engine::Engine& engine) -> Json;
[[nodiscard]] auto fault_json(const ProxyEntry& entry, const fault::FaultSpec& spec, const engine::Engine& engine)
    -> Json;
[[nodiscard]] auto hold_json(const Hold& hold) -> Json;
[[nodiscard]] auto timeouts_json(const proxy::Timeouts& timeouts) -> Json;
[[nodiscard]] auto catalog_json() -> Json;

}  // namespace weir::control
