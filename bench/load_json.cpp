#include "load_json.h"

#include <fmt/format.h>

#include <cstdio>

namespace weir::load {

void Json::key(std::string_view name) {
  if (!body_.empty()) body_ += ", ";
  body_ += fmt::format("\"{}\": ", name);
}

auto Json::add(std::string_view name, std::uint64_t value) -> Json& {
  key(name);
  body_ += fmt::format("{}", value);
  return *this;
}

auto Json::add(std::string_view name, double value) -> Json& {
  key(name);
  body_ += fmt::format("{:.9g}", value);
  return *this;
}

auto Json::add(std::string_view name, std::string_view value) -> Json& {
  key(name);
  body_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      body_ += '\\';
      body_ += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      body_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      body_ += c;
    }
  }
  body_ += '"';
  return *this;
}

auto Json::add(std::string_view name, const Json& value) -> Json& {
  key(name);
  body_ += value.str();
  return *this;
}

auto Json::add_latency(const Histogram& histogram) -> Json& {
  const auto micros = [](std::uint64_t nanos) { return static_cast<double>(nanos) / 1000.0; };
  Json latency;
  latency.add("mean", histogram.mean() / 1000.0)
      .add("min", micros(histogram.min()))
      .add("p50", micros(histogram.quantile(0.50)))
      .add("p90", micros(histogram.quantile(0.90)))
      .add("p99", micros(histogram.quantile(0.99)))
      .add("p99_9", micros(histogram.quantile(0.999)))
      .add("max", micros(histogram.max()));
  return add("latency_us", latency);
}

void Json::print() const {
  fmt::print("{}\n", str());
  std::fflush(stdout);
}

}  // namespace weir::load
