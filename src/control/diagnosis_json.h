// What the diagnosis found, as JSON: the same in `weir why --json`, in the API and in what reads it. The fields are
// told in docs/causes.md.
#pragma once

#include "control/json.h"
#include "diagnose/ledger.h"

namespace weir::control {

// One object, as `weir why --json` prints it.
[[nodiscard]] auto report_json(const diagnose::Report& report) -> Json;
// One object, as `weir why --json=verdicts` prints it on a line.
[[nodiscard]] auto verdict_json(const diagnose::ToldVerdict& verdict) -> Json;

}  // namespace weir::control
