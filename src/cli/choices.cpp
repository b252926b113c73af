#include <map>

#include "cli/command.h"

namespace weir::cli {
namespace {

// CLI11 has no place for choices that it should neither check nor print in --help. Filled while the
// command tree is built, by main's thread.
auto offered() -> std::map<const CLI::Option*, std::vector<std::string>>& {
  static std::map<const CLI::Option*, std::vector<std::string>> choices;
  return choices;
}

}  // namespace

void offer_choices(const CLI::Option* option, std::vector<std::string> choices) {
  offered()[option] = std::move(choices);
}

auto offered_choices(const CLI::Option* option) -> std::vector<std::string> {
  const auto found = offered().find(option);
  return found == offered().end() ? std::vector<std::string>{} : found->second;
}

}  // namespace weir::cli
