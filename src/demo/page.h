#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "demo/series.h"

namespace weir::demo {

struct PageOptions {
  std::string name{};                // of the series
  bool acknowledge_at_once = false;  // TCP_QUICKACK set again after every recv; for the tests' proof
  // The longest wait for any one piece of a reply; a page is thus bounded in time.
  std::chrono::milliseconds patience = std::chrono::seconds(5);
  std::function<void(std::size_t done)> progress = {};  // after each query, outside what is measured; may be empty
};

// The client of the demonstration: connects to 127.0.0.1:port and asks `queries` queries, one after
// the other on that one connection. An ordinary client: one write a query, no socket option set; it
// reads the whole reply and checks it before it asks the next. A query's duration is from before its
// write to after the last byte of its reply; connecting is not in the series.
[[nodiscard]] auto run_page(std::uint16_t port, std::size_t queries, const PageOptions& options) -> Result<Series>;

}  // namespace weir::demo
