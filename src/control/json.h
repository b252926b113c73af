// JSON as this program holds it: members keep the order in which they were written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

// Compiled once, in json.cpp.
extern template class nlohmann::basic_json<nlohmann::ordered_map>;
extern template class nlohmann::detail::serializer<nlohmann::ordered_json>;

namespace weir::control {

using Json = nlohmann::ordered_json;

// Of text that others sent: more would keep the one thread that serves everybody busy. No body has a use
// for as many; lists are not limited.
inline constexpr std::size_t most_json_members = 1000;  // of one object
// Empty: the text may be parsed. Otherwise what is wrong with its shape.
[[nodiscard]] auto bad_shape(std::string_view text) -> std::string;

// None: it is no whole number, or one beyond 64 bits with a sign (get() would give another number for it).
[[nodiscard]] auto integer_of(const Json& value) -> std::optional<std::int64_t>;

}  // namespace weir::control
