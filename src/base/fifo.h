#pragma once

#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace weir {

// A queue that owns little while it is empty: std::deque keeps 576 bytes (libstdc++ 12), which is more
// than all else that an idle faulted direction owns.
template <class T>
class Fifo {
 public:
  [[nodiscard]] auto empty() const -> bool { return head_ == items_.size(); }
  [[nodiscard]] auto size() const -> std::size_t { return items_.size() - head_; }
  [[nodiscard]] auto front() -> T& { return items_[head_]; }
  [[nodiscard]] auto back() -> T& { return items_.back(); }
  [[nodiscard]] auto begin() { return items_.begin() + static_cast<std::ptrdiff_t>(head_); }
  [[nodiscard]] auto end() { return items_.end(); }
  void push_back(T item) {
    if (items_.size() == items_.capacity() && head_ >= items_.size() / 2 && head_ > 0) {
      items_.erase(items_.begin(), begin());
      head_ = 0;
    }
    items_.push_back(std::move(item));
  }
  void pop_front() {
    items_[head_] = T{};
    if (++head_ == items_.size()) clear();
  }
  void clear() {
    if (items_.capacity() > kept_when_empty) std::vector<T>().swap(items_);
    items_.clear();
    head_ = 0;
  }

  static constexpr std::size_t kept_when_empty = sizeof(T) < 128 ? 128 / sizeof(T) : 1;

 private:
  std::vector<T> items_;
  std::size_t head_ = 0;  // what is before it has been taken
};

}  // namespace weir
