// toxiproxy's JSON: its proxies and toxics from and to our values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/go_json.h"
#include "fault/catalog.h"
#include "proxy/rules.h"

namespace weir::api {

// What a body says of a proxy; absent and null fields are empty.
struct ProxyInput {
  std::optional<std::string> name;
  std::optional<std::string> listen;
  std::optional<std::string> upstream;
  std::optional<bool> enabled;
};
[[nodiscard]] auto read_proxy(const Json& body) -> Result<ProxyInput>;
// /populate: an array, null counting as an empty one. The proxy at `at` (from 0), which has what it must have.
[[nodiscard]] auto check_proxies(const Json& body) -> Result<void>;
[[nodiscard]] auto check_required(const ProxyInput& input, std::size_t at) -> Result<void>;
// The same as a whole.
[[nodiscard]] auto read_proxies(const Json& body) -> Result<std::vector<ProxyInput>>;
// The error is Go's, without "listen tcp: ".
[[nodiscard]] auto make_rules(const ProxyInput& input) -> Result<proxy::ProxyRules>;
// What toxiproxy answers where something is not done.
struct ToxiproxyError {
  int status = 400;
  std::string message;
};
[[nodiscard]] auto as_toxiproxy(const Refusal& why) -> ToxiproxyError;

struct ToxicInput {
  std::optional<std::string> name;
  std::optional<std::string> type;
  std::optional<std::string> stream;
  std::optional<double> toxicity;
  Json attributes;  // null: none given
};
[[nodiscard]] auto read_toxic(const Json& body) -> Result<ToxicInput>;
[[nodiscard]] auto parse_stream(std::string_view text) -> std::optional<Direction>;
// Checks the fault as a whole too.
[[nodiscard]] auto set_attributes(fault::FaultSpec& spec, const Json& attributes) -> Result<void>;

[[nodiscard]] auto toxiproxy_proxy(const ProxyEntry& entry) -> Json;
// The same without its last member, the toxics.
[[nodiscard]] auto toxiproxy_without_toxics(const ProxyEntry& entry) -> Json;
// Upstream first, then downstream, each in the order of the chain; those that toxiproxy knows only.
[[nodiscard]] auto toxiproxy_toxics(const ProxyEntry& entry) -> Json;
[[nodiscard]] auto toxiproxy_toxic(const ProxyEntry& entry, const fault::FaultSpec& spec) -> Json;
// `attributes`: fault::classic_attributes of it. `stream`: as the client wrote it; empty: as we do.
using ClassicAttributes = std::vector<std::pair<std::string_view, std::int64_t>>;
[[nodiscard]] auto toxiproxy_toxic(const fault::FaultSpec& spec, const ClassicAttributes& attributes,
                                   const std::string& stream) -> Json;
[[nodiscard]] auto hidden_faults(const ProxyEntry& entry) -> std::size_t;

}  // namespace weir::api
