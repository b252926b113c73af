// Any text as a configuration file: an error that names the file, or values whose text says the same.
#include <cstdlib>

#include "control/config.h"

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = weir::control::parse_config(text, "f");
  if (!config) {
    if (!config.error().message.starts_with("f:")) std::abort();
    return 0;
  }
  const std::string effective = weir::control::effective_config(*config);
  const auto again = weir::control::parse_config(effective, "f");
  if (!again || weir::control::effective_config(*again) != effective) std::abort();
  return 0;
}
