#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

namespace weir {

enum class LogLevel : unsigned char { debug, info, warning, error };
[[nodiscard]] auto to_string(LogLevel level) -> std::string_view;
[[nodiscard]] auto parse_log_level(std::string_view text) -> std::optional<LogLevel>;

// A value that belongs to a message and that programs may want to find: {"proxy", "db"}.
struct LogField {
  std::string_view name;  // ASCII letters, digits and underscores
  std::string_view value;
};

// Where a room says what a person should know and no caller can be told. Rooms below engine/ take a
// Log&; the program gives it a sink. Implementations are safe to call from every thread, and never wait.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view message, std::span<const LogField> fields) = 0;
  // Is a message of this level taken by anybody? Spares its making.
  [[nodiscard]] virtual auto wants(LogLevel) const -> bool { return true; }

  using Fields = std::initializer_list<LogField>;
  void debug(std::string_view message, Fields fields = {}) { write(LogLevel::debug, message, fields); }
  void info(std::string_view message, Fields fields = {}) { write(LogLevel::info, message, fields); }
  void warning(std::string_view message, Fields fields = {}) { write(LogLevel::warning, message, fields); }
  void error(std::string_view message, Fields fields = {}) { write(LogLevel::error, message, fields); }
};

// Says nothing; for tests and for callers that have nobody to tell.
class NullLog final : public Log {
 public:
  void write(LogLevel, std::string_view, std::span<const LogField>) override {}
};

}  // namespace weir
