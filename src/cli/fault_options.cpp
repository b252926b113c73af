#include "cli/fault_options.h"

#include <random>

#include "fault/catalog.h"

namespace weir::cli {

auto parse_faults(const std::vector<std::string>& texts) -> Result<std::shared_ptr<const fault::FaultList>> {
  fault::FaultList list;
  for (const std::string& text : texts) {
    const auto at = fmt::format("--fault '{}'", text);
    auto longer = fault::parse_fault(text).and_then([&](const fault::FaultSpec& spec) { return list.with(spec); });
    if (!longer) return failure(at + ": " + longer.error().message);
    list = *std::move(longer);
  }
  return std::make_shared<const fault::FaultList>(std::move(list));
}

auto any_seed() -> std::uint64_t { return std::random_device{}(); }

auto faults_help() -> std::string {
  std::string text = "Faults (--fault 'NAME FIELD=VALUE ...'; fields and units: docs/faults.md):\n";
  for (const auto* info : fault::catalog()) {
    std::string fields;
    for (const auto& attribute : info->attributes) fields += fmt::format(" {}=", attribute.name);
    text += fmt::format("  {:<17} {}{}{}\n", info->type, info->doc, fields.empty() ? "" : "; fields:", fields);
  }
  return text +
         "Every fault also has name=, probability= (0 to 1), scope= (session, client, proxy) and match= (an address or "
         "a\n"
         "network); those in the stream have direction= (upstream, downstream, both), after= (5s, 64KiB) and for= "
         "(10s);\n"
         "on= (line), nth= and every= (3) make one for some messages alone: the nth, then one in so many.\n";
}

auto fault_types() -> std::vector<std::string> {
  std::vector<std::string> types;
  for (const auto* info : fault::catalog()) types.emplace_back(info->type);
  return types;
}

}  // namespace weir::cli
