// Where a want of memory stops: at the edge of one task, one session or one request, never at the process.
#pragma once

#include <cstdint>
#include <new>
#include <utility>

namespace weir {

// Counts, and says on stderr at most once in 10 s, that something was given up as there was no memory for it. Allocates
// nothing. Any thread.
void note_out_of_memory() noexcept;
// How often so far. Any thread.
[[nodiscard]] auto out_of_memory_count() noexcept -> std::uint64_t;

// Runs `call`. False: memory ran out in it (std::bad_alloc), which was noted, and whatever it was about to do is left
// undone: the caller says what becomes of that. Other exceptions are defects and pass through.
//
// It stands where one piece of work ends and the next has nothing to do with it - each callback of an event loop, each
// event of an observer - and around what a destructor, or the end of a session, may do without.
template <class Call>
[[nodiscard]] auto contained(Call&& call) -> bool {
  try {
    std::forward<Call>(call)();
    return true;
  } catch (const std::bad_alloc&) {
    note_out_of_memory();
    return false;
  }
}

}  // namespace weir
