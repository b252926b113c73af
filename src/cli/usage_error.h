// What CLI11 has against a command line, as one sentence that names the way out.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace weir::cli {

// `error` is what app.parse() threw. Such as: there is no option --shwo; did you mean --show? (see weir
// tap --help)
[[nodiscard]] auto usage_error(const CLI::App& app, const CLI::ParseError& error) -> std::string;

}  // namespace weir::cli
