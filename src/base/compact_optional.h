#pragma once

namespace weir {

// A time or a duration that may be absent, in no more room than the value: std::optional takes twice as
// much, and an idle session keeps a dozen of them. The least value of T stands for "absent", so it is no
// value here; no clock of ours gives it.
template <class T>
class CompactOptional {
 public:
  CompactOptional() = default;
  CompactOptional(T value) : value_(value) {}  // NOLINT(google-explicit-constructor): as std::optional
  [[nodiscard]] auto has_value() const -> bool { return value_ != absent; }
  explicit operator bool() const { return has_value(); }
  [[nodiscard]] auto operator*() const -> const T& { return value_; }
  void reset() { value_ = absent; }
  auto operator==(const CompactOptional&) const -> bool = default;

 private:
  static constexpr T absent = T::min();
  T value_ = absent;
};

}  // namespace weir
