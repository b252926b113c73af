#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/spec/error.h"

namespace weir::cni {

using Json = nlohmann::json;

// Reads JSON as Go's encoding/json does, because configurations were written for it: invalid UTF-8 and half
// a surrogate pair become U+FFFD, the last of two equal keys wins. Deeper than 64 levels or larger than 16 MiB is
// refused: no network configuration is, and a plugin that root runs should not find out where its stack ends. The
// error's msg says what is wrong in encoding/json's words where they are simple ("unexpected end of JSON
// input"); its code is `decoding`.
[[nodiscard]] auto parse_json(std::string_view text) -> Result<Json>;

// Members are found by exact name first, then without regard to case, as Go does. A null member counts as
// absent. nullptr if `object` is no object or has no such member.
[[nodiscard]] auto member(const Json& object, std::string_view key) -> const Json*;

// Typed reads of members of `object`, each named in its error as `where.key`. An absent member is `nullopt`,
// a member of another type is an error with code `internal`, as the reference's plugins report it.
class Reader {
 public:
  // `prefix` begins every message, as "failed to load netconf: "; `where` is the object's own name or "".
  Reader(const Json& object, std::string prefix, std::string where = {});

  [[nodiscard]] auto string(std::string_view key) const -> Result<std::optional<std::string>>;
  [[nodiscard]] auto boolean(std::string_view key) const -> Result<std::optional<bool>>;
  // Out of [least, most] is an error.
  [[nodiscard]] auto integer(std::string_view key, std::int64_t least, std::int64_t most) const
      -> Result<std::optional<std::int64_t>>;
  [[nodiscard]] auto strings(std::string_view key) const -> Result<std::vector<std::string>>;
  // nullptr if absent.
  [[nodiscard]] auto object(std::string_view key) const -> Result<const Json*>;
  [[nodiscard]] auto array(std::string_view key) const -> Result<const Json*>;
  // A reader of a member object; of an empty object if it is absent.
  [[nodiscard]] auto inside(std::string_view key) const -> Result<Reader>;

  [[nodiscard]] auto json() const -> const Json& { return *object_; }
  [[nodiscard]] auto wrong(std::string_view key, std::string_view expected, const Json& got) const -> Failure;

 private:
  const Json* object_;  // outlives the reader
  std::string prefix_;
  std::string where_;
};

// Prints as Go's json.MarshalIndent with four spaces, or compact; what is not UTF-8 becomes U+FFFD. Keys come in the
// order of `first`, then in that of the alphabet.
[[nodiscard]] auto print_json(const Json& value, const std::vector<std::string_view>& first = {}, bool compact = false)
    -> std::string;

}  // namespace weir::cni
