#include "api/toxiproxy_file.h"

#include <set>

#include "api/toxiproxy_json.h"
#include "control/file_text.h"
#include "control/registry.h"

namespace weir::api {
namespace {

void warn_of_unknown_keys(const std::string& path, const Json& body, Log& log) {
  static const std::set<std::string> known{"name", "listen", "upstream", "enabled"};
  std::set<std::string> told;
  if (!body.is_array()) return;
  for (const Json& each : body) {
    if (!each.is_object()) continue;
    for (const auto& [key, value] : each.items()) {
      if (!known.contains(key) && told.insert(key).second) {
        log.warning(fmt::format("{}: the key \"{}\" is not known here and is passed over", path, key));
      }
    }
  }
}

}  // namespace

auto load_toxiproxy_file(const std::string& path, Registry& registry, Log& log) -> Result<void> {
  const auto text = control::read_text(path);
  if (!text) return tl::make_unexpected(text.error());
  const auto body = parse_go_json(*text);
  if (!body) return failure(fmt::format("{}: not a JSON array of proxies: {}", path, body.error().message));
  const auto inputs = read_proxies(*body);
  if (!inputs) return failure(fmt::format("{}: {}", path, inputs.error().message));
  warn_of_unknown_keys(path, *body, log);
  for (const auto& input : *inputs) {
    auto rules = make_rules(input);
    if (!rules) return failure(fmt::format("{}: proxy {}: {}", path, *input.name, rules.error().message));
    if (const auto made = registry.create(*input.name, *std::move(rules)); !made) {
      return failure(fmt::format("{}: proxy {}: {}", path, *input.name, as_toxiproxy(made.error()).message));
    }
  }
  return {};
}

}  // namespace weir::api
