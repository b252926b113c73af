#include "api/metrics_text.h"

#include <fmt/format.h>

#include <cmath>

namespace weir::api {
namespace {

void append_escaped(std::string& out, std::string_view text, bool in_quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && in_quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

}  // namespace

auto metric_number(double value) -> std::string {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  // A counter reads better without an exponent, and 2^53 is as far as it counts exactly.
  if (value == std::floor(value) && std::abs(value) < 9007199254740992.0) return fmt::format("{:.0f}", value);
  return fmt::format("{}", value);
}

void MetricsText::family(std::string_view name, std::string_view help, std::string_view type) {
  name_ = name;
  std::string& text = text_.end();
  text += fmt::format("# HELP {} ", name);
  append_escaped(text, help, false);
  text += fmt::format("\n# TYPE {} {}\n", name, type);
}

void MetricsText::sample(Labels labels, double value, std::string_view suffix) {
  std::string& text = text_.end();
  text += name_;
  text += suffix;
  char before = '{';
  for (const auto& [name, label] : labels) {
    text += before;
    text += name;
    text += "=\"";
    append_escaped(text, label, true);
    text += '"';
    before = ',';
  }
  if (labels.size() > 0) text += '}';
  text += ' ';
  text += metric_number(value);
  text += '\n';
}

}  // namespace weir::api
