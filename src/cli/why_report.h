// What `weir why` prints at its end, of a live service as of captures.
#pragma once

#include <string>
#include <vector>

#include "diagnose/ledger.h"
#include "record/capture_reader.h"

namespace weir::cli {

// What the captures were that a report was made from.
struct CaptureNotes {
  struct File {
    std::string name;
    std::uint64_t packets = 0;
    std::string damage;  // why it was not read to its end; empty: it was
  };
  std::vector<File> files;
  record::CaptureCounts counts;
};
// As sentences, without line feeds; what is nothing is not told.
[[nodiscard]] auto capture_lines(const CaptureNotes& notes) -> std::vector<std::string>;

// On stdout; false: it could not be written. capture: null for a live service.
auto print_report(const diagnose::Report& report, bool json, const CaptureNotes* capture) -> bool;
// Of --fail-over: did one pause last longer, for a cause other than the client's own?
[[nodiscard]] auto is_too_slow(const diagnose::Report& report, Nanos limit) -> bool;

inline constexpr int exit_slow = 3;

}  // namespace weir::cli
