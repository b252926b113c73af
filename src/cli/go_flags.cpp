#include "cli/go_flags.h"

namespace weir::cli {

auto GoFlags::value(const std::string& name, const std::string& otherwise) const -> std::string {
  const auto found = values.find(name);
  return found == values.end() ? otherwise : found->second;
}

auto parse_go_flags(const std::vector<std::string>& words, const std::set<std::string>& with_value,
                    const std::set<std::string>& switches) -> Result<GoFlags> {
  GoFlags flags;
  std::size_t at = 0;
  for (; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word.size() < 2 || word[0] != '-') break;
    if (word == "--") {
      ++at;
      break;
    }
    const std::string text = word.substr(word[1] == '-' ? 2 : 1);
    const auto equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (switches.contains(name)) {
      const std::string value = equals == std::string::npos ? "true" : text.substr(equals + 1);
      if (value != "true" && value != "false" && value != "1" && value != "0") {
        return failure(fmt::format("invalid boolean value \"{}\" for -{}", value, name));
      }
      if (value == "true" || value == "1") flags.values[name] = "true";
    } else if (!with_value.contains(name)) {
      return failure("flag provided but not defined: -" + name);
    } else if (equals != std::string::npos) {
      flags.values[name] = text.substr(equals + 1);
    } else if (at + 1 < words.size()) {
      flags.values[name] = words[++at];
    } else {
      return failure("flag needs an argument: -" + name);
    }
  }
  flags.rest.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return flags;
}

}  // namespace weir::cli
