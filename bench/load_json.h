#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "load_histogram.h"

namespace weir::load {

// One flat-or-nested JSON object, built in order. Keys are ours and need no escaping; texts are escaped.
class Json {
 public:
  auto add(std::string_view name, std::uint64_t value) -> Json&;
  auto add(std::string_view name, double value) -> Json&;
  auto add(std::string_view name, std::string_view value) -> Json&;
  auto add(std::string_view name, const Json& value) -> Json&;
  // requests' latencies: latency_us: {mean, min, p50, p90, p99, p99_9, max}, in microseconds.
  auto add_latency(const Histogram& histogram) -> Json&;
  [[nodiscard]] auto str() const -> std::string { return "{" + body_ + "}"; }
  void print() const;  // one line on stdout, flushed

 private:
  void key(std::string_view name);
  std::string body_;
};

}  // namespace weir::load
