#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace weir {

// A queue that is one null pointer while it is empty: std::deque keeps 576 bytes (libstdc++ 12), which is
// more than all else that an idle faulted direction owns. The price is two allocations when it stops being
// empty. front(), back() and pop_front() want it not to be.
template <class T>
class Fifo {
 public:
  [[nodiscard]] auto empty() const -> bool { return queue_ == nullptr; }
  [[nodiscard]] auto size() const -> std::size_t { return empty() ? 0 : queue_->items.size() - queue_->head; }
  [[nodiscard]] auto front() -> T& { return queue_->items[queue_->head]; }
  [[nodiscard]] auto back() -> T& { return queue_->items.back(); }
  [[nodiscard]] auto begin() -> T* { return empty() ? nullptr : queue_->items.data() + queue_->head; }
  [[nodiscard]] auto end() -> T* { return empty() ? nullptr : queue_->items.data() + queue_->items.size(); }
  void push_back(T item) {
    if (queue_ == nullptr) queue_ = std::make_unique<Queue>();
    queue_->make_room();
    queue_->items.push_back(std::move(item));
  }
  void pop_front() {
    front() = T{};
    if (++queue_->head == queue_->items.size()) queue_.reset();
  }
  void clear() { queue_.reset(); }
  // Bytes that it owns, of what the items own themselves none.
  [[nodiscard]] auto memory() const -> std::size_t {
    return empty() ? 0 : sizeof(Queue) + queue_->items.capacity() * sizeof(T);
  }

 private:
  struct Queue {
    std::vector<T> items;
    std::size_t head = 0;  // what is before it has been taken

    void make_room() {
      if (items.size() < items.capacity() || head == 0 || head < items.size() / 2) return;
      items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(head));
      head = 0;
    }
  };
  std::unique_ptr<Queue> queue_;
};

}  // namespace weir
