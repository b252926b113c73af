// Why something was not done.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "base/listen_address.h"

namespace weir::control {

enum class RefusalKind : std::uint8_t {
  not_found,      // what was named is not there
  conflict,       // it stands against what is there, such as a name that is taken
  too_many,       // there are as many as there may be
  cannot_listen,  // an address cannot be listened on: `listen` and `code` say which and why
};

// A wish that was understood and not granted. It knows nothing of HTTP: api/ has a status for each kind.
struct Refusal {
  RefusalKind kind = RefusalKind::conflict;
  std::string message = {};
  std::string field = {};                    // the one at fault, where one is
  std::optional<ListenAddress> listen = {};  // of cannot_listen
  int code = 0;                              // of cannot_listen: errno
};
// What came of a wish; see base/result.h for when it is this and when a Result.
template <class T>
using Outcome = tl::expected<T, Refusal>;
[[nodiscard]] inline auto refuse(RefusalKind kind, std::string message, std::string field = {}) {
  return tl::make_unexpected(Refusal{.kind = kind, .message = std::move(message), .field = std::move(field)});
}

}  // namespace weir::control
