#include "cni/spec/arguments.h"

#include <algorithm>
#include <array>

namespace weir::cni {
namespace {

constexpr std::array<std::string_view, 7> known_keys{
    "IgnoreUnknown", "MAC", "IP", "K8S_POD_NAME", "K8S_POD_NAMESPACE", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID"};

auto lower(std::string_view text) -> std::string {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

}  // namespace

auto Arguments::parse(std::string_view text) -> Result<Arguments> {
  Arguments arguments;
  std::string unknown;
  bool ignore_unknown = false;
  // A semicolon at the end begins an empty pair, which is one too many.
  for (bool more = !text.empty(); more;) {
    const auto end = text.find(';');
    const auto pair = text.substr(0, end);
    more = end != std::string_view::npos;
    text.remove_prefix(more ? end + 1 : text.size());
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || pair.find('=', equals + 1) != std::string_view::npos) {
      return fail(ErrorCode::internal, cni::text({"ARGS: invalid pair ", in_quotes(pair)}));
    }
    const auto key = pair.substr(0, equals);
    const auto value = pair.substr(equals + 1);
    if (key == "IgnoreUnknown") {
      const auto said = lower(value);
      ignore_unknown = said == "1" || said == "true";
      if (!ignore_unknown && said != "0" && said != "false") {
        return fail(ErrorCode::internal, cni::text({"ARGS: error parsing value of pair ", in_quotes(pair),
                                                    ": boolean unmarshal error: invalid input ", said}));
      }
    }
    if (std::find(known_keys.begin(), known_keys.end(), key) == known_keys.end()) {
      if (!unknown.empty()) unknown += ' ';
      unknown += in_quotes(pair);
    }
    arguments.pairs_.emplace_back(key, value);
  }
  if (!unknown.empty() && !ignore_unknown) {
    return fail(ErrorCode::internal, cni::text({"ARGS: unknown args [", unknown, "]"}));
  }
  return arguments;
}

auto Arguments::value(std::string_view key) const -> std::string_view {
  for (auto each = pairs_.rbegin(); each != pairs_.rend(); ++each) {
    if (each->first == key) return each->second;
  }
  return {};
}

}  // namespace weir::cni
