#pragma once

#include "diagnose/ledger.h"

namespace weir::cli {

// `weir why --json`: one object, its fields are told in docs/causes.md.
void print_why_json(const diagnose::Report& report);

}  // namespace weir::cli
