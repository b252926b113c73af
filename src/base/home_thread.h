#pragma once

#include <string_view>

namespace weir {

// An address that tells this thread from all others while it lives. To compare it costs two instructions, where
// std::this_thread::get_id() is a call.
[[nodiscard]] inline auto this_thread_mark() -> const void* {
  constinit static thread_local char mark = 0;
  return &mark;
}

// Says on stderr that `what` was called on a thread that it does not belong to, and aborts: going on would be a data
// race, which shows itself later and elsewhere. A core dump has both threads.
[[noreturn]] void abort_on_wrong_thread(std::string_view what);

// The one thread that an object without a lock belongs to: the one that made it. A member of such an object, which
// calls check() at every entry; `what` names it, as in "control::Registry". Also in release builds.
class HomeThread {
 public:
  void check(std::string_view what) const {
    if (home_ != this_thread_mark()) [[unlikely]]
      abort_on_wrong_thread(what);
  }

 private:
  const void* home_ = this_thread_mark();
};

}  // namespace weir
