// Proxies and faults as the native API and the configuration file write them.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "control/rules_json.h"
#include "control/strict_fields.h"
#include "fault/catalog.h"
#include "fault/fault_list.h"

namespace weir::engine {
class Engine;
}  // namespace weir::engine

namespace weir::control {

struct Hold;
struct Mark;
struct ProxyEntry;  // registry.h

// A proxy as a file or a body defines it.
struct ProxyDefinition {
  std::string name;
  proxy::ProxyRules rules;
  fault::FaultList faults;
};

template <class T>
using Read = tl::expected<T, FieldError>;

// A whole proxy: name and what has no default are required.
[[nodiscard]] auto read_definition(const Json& object, const std::string& path, const proxy::Timeouts& defaults)
    -> Read<ProxyDefinition>;
// The rules of a proxy with the settings that are given changed; its name may only be given as it is. Faults are
// changed by their own routes.
[[nodiscard]] auto read_changes(const Json& object, const ProxyEntry& now) -> Read<proxy::ProxyRules>;
[[nodiscard]] auto read_fault(const Json& object, const std::string& path) -> Read<fault::FaultSpec>;
[[nodiscard]] auto read_fault_changes(const Json& object, const fault::FaultSpec& now) -> Read<fault::FaultSpec>;

// As read_definition takes it, with every value in force.
[[nodiscard]] auto definition_json(const ProxyDefinition& definition) -> Json;
[[nodiscard]] auto proxy_json(const ProxyEntry& entry, const engine::Engine& engine) -> Json;
// The same without its last member, the faults.
[[nodiscard]] auto proxy_without_faults(const ProxyEntry& entry) -> Json;
[[nodiscard]] auto fault_json(const ProxyEntry& entry, const fault::FaultSpec& spec, const engine::Engine& engine)
    -> Json;
// `applied`: the sessions in which it was in force.
[[nodiscard]] auto fault_json(const fault::FaultSpec& spec, const Mark& mark, std::uint64_t applied) -> Json;
[[nodiscard]] auto hold_json(const Hold& hold) -> Json;
[[nodiscard]] auto catalog_json() -> Json;
[[nodiscard]] auto messages_json() -> Json;  // the kinds of messages that faults can be for

}  // namespace weir::control
