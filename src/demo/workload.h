#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::demo {

// The work of the demonstration: a page asks its database one query after another. A query is 296
// bytes, as in the story this tells (PostgreSQL behind a relay that read 128 bytes at a time); a
// reply is more than 128 bytes too, so that such a relay cuts it as well. Both are lines of text, so
// that a view of the stream can be read.
inline constexpr std::size_t query_size = 296;
inline constexpr std::size_t reply_size = 179;

// Where the six digits of the query's number stand; the reply repeats them.
inline constexpr std::size_t query_number_at = 148;
inline constexpr std::size_t reply_number_at = 53;
inline constexpr std::size_t number_digits = 6;

using Query = std::array<char, query_size>;
using Reply = std::array<char, reply_size>;

// number: 0 .. 999,999; the last six digits of a larger one.
[[nodiscard]] auto make_query(std::size_t number) -> Query;
[[nodiscard]] auto make_reply(std::size_t number) -> Reply;
// What the upstream answers. `query` holds query_size bytes; the six at query_number_at are copied
// as they are, whatever they are.
[[nodiscard]] auto reply_to(std::string_view query) -> Reply;

}  // namespace weir::demo
