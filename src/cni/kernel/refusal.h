#pragma once

#include <cstddef>
#include <string>
#include <tl/expected.hpp>

namespace weir::cni {

// What the kernel refused: an errno, and the extended ACK's sentence if it gave one.
struct Refusal {
  int code = 0;
  std::string said;
  std::size_t message = 0;  // which message of a batch
  [[nodiscard]] auto words() const -> std::string;
};
template <class T>
using Answer = tl::expected<T, Refusal>;

}  // namespace weir::cni
