#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "fault/fault_list.h"

namespace weir::cli {

// The values of --fault, in order, as a list. The error names the option and what is wrong with it.
[[nodiscard]] auto parse_faults(const std::vector<std::string>& texts)
    -> Result<std::shared_ptr<const fault::FaultList>>;
// What is wrong with a fault's words beside what the catalog says, as one sentence: a kind or a field that is nearly
// another one's name; and a fault that would do nothing, or end everything, because what it is about is not given, such
// as `latency` alone. The first word is the kind, with "type=" or without it.
[[nodiscard]] auto check_fault_words(const std::vector<std::string>& words) -> Result<void>;
// From the system, where the user gave none; small enough to be typed again.
[[nodiscard]] auto any_seed() -> std::uint64_t;
// The part of a command's help that lists the faults.
[[nodiscard]] auto faults_help() -> std::string;
[[nodiscard]] auto fault_types() -> std::vector<std::string>;

}  // namespace weir::cli
