// Random scripts: thousands of lives of a session, each with every promise checked. A failure names
// its seed; RELAY_SEED=n in the environment runs that one alone.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>

#include "proxy/relay_harness.h"

namespace weir::proxy::scripted {
namespace {

auto random_script(std::uint32_t seed) -> std::vector<std::uint8_t> {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> script(20 + random() % 180);
  for (std::uint8_t& byte : script) byte = static_cast<std::uint8_t>(random());
  return script;
}

void run_seed(std::uint32_t seed) {
  try {
    run_script(random_script(seed));
  } catch (const Violation& broken) {
    ADD_FAILURE() << "seed " << seed << ": " << broken.what();
  }
}

TEST(RelayProperties, HoldForRandomScripts) {
  if (const char* seed = std::getenv("RELAY_SEED")) return run_seed(static_cast<std::uint32_t>(std::atoi(seed)));
  constexpr std::uint32_t scripts = 3000;
  for (std::uint32_t seed = 0; seed < scripts && !HasFailure(); ++seed) run_seed(seed);
}

}  // namespace
}  // namespace weir::proxy::scripted
