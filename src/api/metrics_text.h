#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "http/body_text.h"

namespace weir::api {

// Prometheus' text, exposition format 0.0.4: families with a help line and a type, each with its samples.
class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  // The samples that follow are the family's. `type`: "counter", "gauge" or "histogram".
  void family(std::string_view name, std::string_view help, std::string_view type);
  // `suffix` of the family's name: "", or a histogram's "_bucket", "_sum", "_count".
  void sample(Labels labels, double value, std::string_view suffix = "");
  // A family of one sample.
  void one(std::string_view name, std::string_view help, std::string_view type, double value) {
    family(name, help, type);
    sample({}, value);
  }
  [[nodiscard]] auto take() -> http::BodyPieces { return text_.take(); }

 private:
  http::BodyText text_;
  std::string name_;
};

// As the format writes a number: shortest text that reads back, "+Inf".
[[nodiscard]] auto metric_number(double value) -> std::string;

}  // namespace weir::api
