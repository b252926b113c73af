// What `weir why` prints at its end, of a live service as of captures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/why_compare.h"
#include "diagnose/diagnosis.h"
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

// How it is to be told, from the words of --json, --compare and --fail-over.
enum class WhyForm : std::uint8_t {
  text,
  json,      // one object at the end
  verdicts,  // a line of JSON for each verdict, as it comes
};
struct WhyOutput {
  WhyForm form = WhyForm::text;
  std::optional<EarlierReport> before{};
  std::optional<Nanos> fail_over{};
};
// Empty words: the option was not given. Errors name the option.
[[nodiscard]] auto make_output(const std::string& json, const std::string& compare, const std::string& fail_over)
    -> Result<WhyOutput>;
// Has a diagnosis print its verdicts, if these are what is wanted; on its observer's thread.
void tell_verdicts(const WhyOutput& output, diagnose::DiagnosisOptions& options);
// The exit code of `weir why`, after the report was printed on stdout. capture: null for a live service.
auto finish(const diagnose::Report& report, const WhyOutput& output, const CaptureNotes* capture) -> int;
inline constexpr int exit_slow = 3;

}  // namespace weir::cli
