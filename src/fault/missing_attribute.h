#pragma once

#include <span>
#include <string>
#include <string_view>

namespace weir::fault {

// Why a fault of this type with these fields alone would do nothing, or end everything, as what it is about is not
// given, such as `latency` alone; as a sentence that says what to write. Empty: it is a fault, or no known type.
// toxiproxy takes such faults, and so do its routes.
[[nodiscard]] auto missing_attribute(std::string_view type, std::span<const std::string> given) -> std::string;

}  // namespace weir::fault
