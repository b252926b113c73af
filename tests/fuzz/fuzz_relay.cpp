// libFuzzer over the relay: the script of bytes is what both peers, the kernel, the observer and time
// do; tests/unit/proxy/relay_harness.h checks the promises of the data path at every step.
#include <cstdio>
#include <cstdlib>
#include <span>

#include "proxy/relay_harness.h"

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  try {
    weir::proxy::scripted::run_script(std::span(data, size));
  } catch (const weir::proxy::scripted::Violation& broken) {
    std::fprintf(stderr, "a promise was broken: %s\n", broken.what());
    std::abort();
  }
  return 0;
}
