#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/out_of_memory.h"

namespace weir::proxy {

// Empty pipes kept for reuse: making one costs three system calls and 256 KiB of kernel memory
// against the user's share (pipe-user-pages-soft). One per loop.
template <class Pipe>
class PipePool {
 public:
  static constexpr std::size_t most_idle = 64;

  // Null when descriptors or pipe memory are short: copy instead.
  [[nodiscard]] auto take() -> std::unique_ptr<Pipe> {
    std::unique_ptr<Pipe> pipe;
    if (idle_.empty()) {
      (void)contained([&] { pipe = Pipe::create(); });
    } else {
      pipe = std::move(idle_.back());
      idle_.pop_back();
    }
    return pipe;
  }
  // A pipe that still holds bytes of one session must never serve another: it is closed.
  void give(std::unique_ptr<Pipe> pipe) {
    if (pipe->bytes() != 0 || idle_.size() >= most_idle) return;  // mutant: dirty-pipe-reused
    (void)contained([&] { idle_.push_back(std::move(pipe)); });
  }

 private:
  std::vector<std::unique_ptr<Pipe>> idle_;
};

}  // namespace weir::proxy
