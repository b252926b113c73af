#pragma once

#include "diagnose/ledger.h"

namespace weir::cli {

// `weir why --json`: one object, docs/why.schema.json.
void print_why_json(const diagnose::Report& report);

}  // namespace weir::cli
