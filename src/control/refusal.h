// Why something was not done, for whoever asked over HTTP.
#pragma once

#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "base/listen_address.h"

namespace weir::control {

struct Refusal {
  int status = 400;
  std::string message;
  std::string field = {};  // the one at fault, where one is
  // A listener could not be made: where, and errno.
  std::optional<ListenAddress> listen = {};
  int code = 0;
};
template <class T>
using Answer = tl::expected<T, Refusal>;
[[nodiscard]] inline auto refuse(int status, std::string message, std::string field = {}) {
  return tl::make_unexpected(Refusal{.status = status, .message = std::move(message), .field = std::move(field)});
}

}  // namespace weir::control
