#pragma once

#include <string_view>

namespace weir {

enum class LogLevel : unsigned char { debug, info, warning, error };

// Where a room says what a person should know and no caller can be told. Rooms below engine/ take a
// Log&; the program gives it a sink. Implementations are safe to call from every thread.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view message) = 0;

  void debug(std::string_view message) { write(LogLevel::debug, message); }
  void info(std::string_view message) { write(LogLevel::info, message); }
  void warning(std::string_view message) { write(LogLevel::warning, message); }
  void error(std::string_view message) { write(LogLevel::error, message); }
};

// Says nothing; for tests and for callers that have nobody to tell.
class NullLog final : public Log {
 public:
  void write(LogLevel, std::string_view) override {}
};

}  // namespace weir
