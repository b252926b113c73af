// Objects of the native API and the configuration file: every key is known, of its type, or refused with a
// sentence that names it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/json.h"

namespace weir::control {

// What is wrong, and where: "proxies[1].timeouts.idle".
struct FieldError {
  std::string path;
  std::string message;
  [[nodiscard]] auto sentence() const -> std::string { return path.empty() ? message : path + ": " + message; }
};

// Reads one object. The first thing wrong is kept, and every later answer is empty.
class StrictFields {
 public:
  StrictFields(const Json& object, std::string path, const std::vector<std::string_view>& known);

  [[nodiscard]] auto text(const char* key) -> std::optional<std::string>;
  [[nodiscard]] auto flag(const char* key) -> std::optional<bool>;
  // From `least` to `most`.
  [[nodiscard]] auto number(const char* key, std::uint64_t least, std::uint64_t most) -> std::optional<std::uint64_t>;
  // Null if absent.
  [[nodiscard]] auto object(const char* key) -> const Json*;
  [[nodiscard]] auto list(const char* key) -> const Json*;
  void wrong(const std::string& key, std::string message);
  [[nodiscard]] auto error() const -> const std::optional<FieldError>& { return error_; }
  [[nodiscard]] auto at(std::string_view key) const -> std::string;

 private:
  [[nodiscard]] auto find(const char* key) -> const Json*;
  const Json* object_ = nullptr;
  std::string path_;
  std::optional<FieldError> error_;
};

// "there is no key \"lisen\" here; did you mean \"listen\"?"
[[nodiscard]] auto unknown_key(std::string_view key, const std::vector<std::string_view>& known) -> std::string;

}  // namespace weir::control
