#include "base/home_thread.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace weir {

void abort_on_wrong_thread(std::string_view what) {
  const std::string sentence =
      "weir: " + std::string(what) + " was called on a thread that it does not belong to; this is a bug in weir\n";
  // In one write, and not through a stream that the other thread may be using.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, sentence.data(), sentence.size());
  std::abort();
}

}  // namespace weir
