// Room cni/, floor 6: the CNI plugins `bridge` and `host-local`. Folders: spec/ is the skeleton that any
// plugin stands on, host_local/ and bridge/ are the two plugins, kernel/ speaks rtnetlink and nfnetlink.
// It includes base/ and no other room; it links no fmt and no iostream, because a plugin lives for a few
// milliseconds and its start is a good part of them. Start reading at spec/plugin.h.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace weir::cni {

// Error codes of the CNI specification (SPEC.md, "Error"), with the two that the reference library adds.
enum class ErrorCode : unsigned {
  incompatible_version = 1,
  unsupported_field = 2,
  unknown_container = 3,
  bad_environment = 4,
  io = 5,
  decoding = 6,
  bad_config = 7,
  bad_namespace = 8,  // reference library: CNI_NETNS is the plugin's own namespace
  try_again = 11,
  plugin_not_available = 50,
  limited_connectivity = 51,
  internal = 999,  // reference library: whatever a plugin returns without a code
};

// What a plugin prints when it fails. `code` is a number and no ErrorCode, because an IPAM plugin's error
// is handed on with the code it came with.
struct Error {
  unsigned code = static_cast<unsigned>(ErrorCode::internal);
  std::string msg;
  std::string details;
};

template <class T>
using Result = tl::expected<T, Error>;
using Failure = tl::unexpected<Error>;

[[nodiscard]] inline auto fail(ErrorCode code, std::string msg, std::string details = {}) -> Failure {
  return Failure(Error{static_cast<unsigned>(code), std::move(msg), std::move(details)});
}
[[nodiscard]] inline auto fail(std::string msg) -> Failure { return fail(ErrorCode::internal, std::move(msg)); }

// Joins pieces of a sentence.
[[nodiscard]] auto text(std::initializer_list<std::string_view> pieces) -> std::string;
// `text` in double quotes, as Go's %q writes it, control characters and bytes that are not UTF-8 in hex: messages are
// compared by programs.
[[nodiscard]] auto in_quotes(std::string_view text) -> std::string;
// The words of an errno as Go prints them: the C library's, in lower case ("no such file or directory").
[[nodiscard]] auto errno_words(int code) -> std::string;

}  // namespace weir::cni
