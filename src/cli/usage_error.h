// What CLI11 has against a command line, as one sentence that names the way out.
#pragma once

#include <string>

#include "base/result.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
class ParseError;
}  // namespace CLI

namespace weir::cli {

// `error` is what app.parse() threw. Such as: there is no option --shwo; did you mean --show? (see weir
// tap --help)
[[nodiscard]] auto usage_error(const CLI::App& app, const CLI::ParseError& error) -> std::string;

// The value, or its error behind the name of the option that it was given to.
template <class T>
auto in_option(const std::string& option, Result<T> value) -> Result<T> {
  if (value) return value;
  return failure(option + ": " + value.error().message);
}

}  // namespace weir::cli
