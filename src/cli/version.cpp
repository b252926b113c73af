#include <fmt/format.h>

#include "cli/command.h"
#include "weir_version.h"

namespace weir::cli {

auto version_text() -> std::string {
#if defined(__clang__)
  constexpr const char* compiler = "clang " __clang_version__;
#else
  constexpr const char* compiler = "g++ " __VERSION__;
#endif
  return fmt::format("weir {} (commit {}, {})", WEIR_VERSION, WEIR_COMMIT, compiler);
}

}  // namespace weir::cli
