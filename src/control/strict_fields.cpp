#include "control/strict_fields.h"

#include <algorithm>

#include "base/nearest.h"

namespace weir::control {

auto unknown_key(std::string_view key, const std::vector<std::string_view>& known) -> std::string {
  const std::string shown(key.substr(0, 64));
  if (const auto near = nearest(key, known)) {
    return fmt::format("there is no key \"{}\" here; did you mean \"{}\"?", shown, *near);
  }
  return fmt::format("there is no key \"{}\" here; the keys are {}", shown, fmt::join(known, ", "));
}

StrictFields::StrictFields(const Json& object, std::string path, const std::vector<std::string_view>& known)
    : path_(std::move(path)) {
  if (!object.is_object()) {
    error_ = FieldError{path_, fmt::format("write an object with {}", fmt::join(known, ", "))};
    return;
  }
  object_ = &object;
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, std::string_view(key)) == known.end()) {
      error_ = FieldError{at(key), unknown_key(key, known)};
      return;
    }
  }
}

auto StrictFields::at(std::string_view key) const -> std::string {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

void StrictFields::wrong(const std::string& key, std::string message) {
  if (!error_) error_ = FieldError{at(key), std::move(message)};
}

auto StrictFields::find(const char* key) -> const Json* {
  if (error_ || object_ == nullptr) return nullptr;
  const auto found = object_->find(key);
  return found == object_->end() ? nullptr : &*found;
}

auto StrictFields::text(const char* key) -> std::optional<std::string> {
  const Json* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  wrong(key, fmt::format("write a text in quotes, not {}", found->dump().substr(0, 40)));
  return std::nullopt;
}

auto StrictFields::flag(const char* key) -> std::optional<bool> {
  const Json* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (found->is_boolean()) return found->get<bool>();
  wrong(key, fmt::format("write true or false, not {}", found->dump().substr(0, 40)));
  return std::nullopt;
}

auto StrictFields::number(const char* key, std::uint64_t least, std::uint64_t most) -> std::optional<std::uint64_t> {
  const Json* found = find(key);
  if (found == nullptr) return std::nullopt;
  const bool natural = found->is_number_integer() && (found->is_number_unsigned() || found->get<std::int64_t>() >= 0);
  if (natural && found->get<std::uint64_t>() >= least && found->get<std::uint64_t>() <= most) {
    return found->get<std::uint64_t>();
  }
  wrong(key, fmt::format("write a whole number from {} to {}, not {}", least, most, found->dump().substr(0, 40)));
  return std::nullopt;
}

auto StrictFields::object(const char* key) -> const Json* {
  const Json* found = find(key);
  if (found == nullptr || found->is_object()) return found;
  wrong(key, "write an object of names and values");
  return nullptr;
}

auto StrictFields::list(const char* key) -> const Json* {
  const Json* found = find(key);
  if (found == nullptr || found->is_array()) return found;
  wrong(key, "write a list of objects");
  return nullptr;
}

}  // namespace weir::control
