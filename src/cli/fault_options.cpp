#include "cli/fault_options.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/nearest.h"
#include "fault/catalog.h"
#include "fault/missing_attribute.h"

namespace weir::cli {

namespace {

auto words_of(const std::string& text) -> std::vector<std::string> {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (c != ' ' && c != '\t' && c != '\n') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, ""));
    }
  }
  return words;
}

}  // namespace

auto check_fault_words(const std::vector<std::string>& words) -> Result<void> {
  if (words.empty()) return {};
  std::string type = words.front();
  if (type.starts_with("type=")) type.erase(0, 5);
  const auto* info = fault::find_fault(type);
  if (info == nullptr) {
    std::vector<std::string_view> types;
    for (const auto* each : fault::catalog()) types.push_back(each->type);
    const auto near = nearest(type, types);
    return near ? Result<void>(failure(fmt::format("there is no fault \"{}\"; did you mean {}?", type, *near)))
                : Result<void>();
  }
  std::vector<std::string_view> known{"name", "direction", "probability", "scope", "match",    "after",
                                      "for",  "on",        "nth",         "every", "position", "before"};
  for (const auto& attribute : info->attributes) known.push_back(attribute.name);
  std::vector<std::string> given;
  for (std::size_t i = 1; i < words.size(); ++i) given.push_back(words[i].substr(0, words[i].find('=')));
  for (const std::string& key : given) {
    if (std::ranges::find(known, key) != known.end()) continue;
    if (const auto near = nearest(key, known)) {
      return failure(fmt::format("{}: there is no field \"{}\"; did you mean {}?", type, key, *near));
    }
  }
  const std::string missing = fault::missing_attribute(type, given);
  return missing.empty() ? Result<void>() : failure(missing);
}

auto parse_faults(const std::vector<std::string>& texts) -> Result<std::shared_ptr<const fault::FaultList>> {
  fault::FaultList list;
  for (const std::string& text : texts) {
    const auto at = fmt::format("--fault '{}'", text);
    if (auto good = check_fault_words(words_of(text)); !good) return failure(at + ": " + good.error().message);
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
    text += fmt::format("  {:<17}  {}{}{}\n", info->type, info->doc, fields.empty() ? "" : "; fields:", fields);
  }
  return text +
         "Every fault also has name=, probability= (0 to 1), scope= (session, client, proxy) and match= (an address or "
         "a network); those in the stream have direction= (upstream, downstream, both), after= (5s, 64KiB) and for= "
         "(10s); on= (line), nth= and every= (3) make one for some messages alone: the nth, then one in so many.\n";
}

auto fault_types() -> std::vector<std::string> {
  std::vector<std::string> types;
  for (const auto* info : fault::catalog()) types.emplace_back(info->type);
  return types;
}

}  // namespace weir::cli
