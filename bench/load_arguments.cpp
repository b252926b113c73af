#include "load_arguments.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

namespace weir::load {

namespace {
const std::set<std::string> flags{"gate"};
}

Arguments::Arguments(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) {
      positional_.push_back(word);
      continue;
    }
    const std::string name = word.substr(2);
    if (flags.contains(name)) {
      options_.emplace(name, "");
      continue;
    }
    if (i + 1 >= argc) throw UsageError(fmt::format("--{}: a value is missing", name));
    options_.emplace(name, argv[++i]);
  }
}

auto Arguments::positional(std::string_view what) -> std::string {
  if (positional_.empty()) throw UsageError(fmt::format("{} is missing", what));
  std::string word = positional_.front();
  positional_.erase(positional_.begin());
  return word;
}

auto Arguments::text(const std::string& name, std::string_view otherwise) -> std::string {
  const auto found = options_.find(name);
  if (found == options_.end()) return std::string(otherwise);
  std::string value = found->second;
  options_.erase(found);
  return value;
}

auto Arguments::number(const std::string& name, std::uint64_t otherwise, std::uint64_t low, std::uint64_t high)
    -> std::uint64_t {
  const std::string value = text(name, "");
  if (value.empty()) return otherwise;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < low || number > high) {
    throw UsageError(fmt::format("--{} {}: expected a whole number from {} to {}", name, value, low, high));
  }
  return number;
}

auto Arguments::real(const std::string& name, double otherwise, double low, double high) -> double {
  const std::string value = text(name, "");
  if (value.empty()) return otherwise;
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < low || number > high) {
    throw UsageError(fmt::format("--{} {}: expected a number from {} to {}", name, value, low, high));
  }
  return number;
}

auto Arguments::flag(const std::string& name) -> bool { return options_.erase(name) > 0; }

auto Arguments::all(const std::string& name) -> std::vector<std::string> {
  std::vector<std::string> values;
  const auto [first, last] = options_.equal_range(name);
  for (auto at = first; at != last; ++at) values.push_back(at->second);
  options_.erase(first, last);
  return values;
}

void Arguments::finish() const {
  if (!positional_.empty()) throw UsageError(fmt::format("{}: not expected here", positional_.front()));
  if (!options_.empty()) throw UsageError(fmt::format("--{}: this mode does not know it", options_.begin()->first));
}

}  // namespace weir::load
