#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "base/fifo.h"
#include "fault/spec.h"
#include "fault/stage.h"
#include "protocol/messages.h"

namespace weir::fault {

// A fault's selector at work in its slot of a chain. The stage gets the bytes of the selected messages
// alone, one message at a time; all other bytes go past it, behind what it holds. So every fault works
// with a selector, and none knows of it.
//
//   in --selected--> stage --let go--> out
//    '----others---> waiting for what the stage took before --'
//
// What was cut at messages' ends alone is put together again when it goes out in one go, so that a
// selector does not make many small sends of one.
class Selection {
 public:
  Selection(const Selector& selector, protocol::Messages& messages) : selector_(selector), messages_(messages) {}

  // The fault begins here: messages that begin at or after this offset are counted, from 1.
  void count_from(std::uint64_t offset);
  // What is selected from the next message on.
  void change(const Selector& selector) { selector_ = selector; }

  struct Part {
    std::size_t size = 0;
    bool is_selected = false;
    Marks marks = {};
  };
  // How the bytes that come in begin: so many belong to one selected message, or to none.
  [[nodiscard]] auto next(std::uint64_t offset, std::size_t size) -> Part;

  // The stage takes bytes in; later it has emitted or dropped them.
  void stage_took(std::uint64_t bytes) { given_ += bytes; }
  void stage_is_done_with(std::uint64_t bytes) { done_ += bytes; }
  // Others come: they wait until the stage is done with what it took before.
  void wait(Chunk chunk);
  [[nodiscard]] auto has_waiting() const -> bool { return !waiting_.empty(); }
  // The oldest may go.
  [[nodiscard]] auto front_may_go() -> bool { return !waiting_.empty() && waiting_.front().behind <= done_; }
  [[nodiscard]] auto take_front() -> Chunk;
  [[nodiscard]] auto waiting_bytes() const -> std::uint64_t { return waiting_bytes_; }
  void forget_waiting();
  [[nodiscard]] auto memory() const -> std::size_t { return sizeof(*this) + waiting_.memory(); }

  // A chunk goes out. Gives back the one before it, unless the two became one again.
  [[nodiscard]] auto join(Chunk chunk) -> Chunk;
  // The last that went out.
  [[nodiscard]] auto take_last() -> Chunk { return std::exchange(last_out_, {}); }

 private:
  struct Waiting {
    Chunk chunk;
    std::uint64_t behind = 0;  // it goes when the stage is done with so many bytes
  };
  [[nodiscard]] auto selects(std::uint64_t number) -> bool;

  static constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();
  Selector selector_;
  protocol::Messages& messages_;
  std::uint64_t at_ = 0;  // number of the message that comes in, or will
  std::uint64_t counted_from_ = none;
  std::uint64_t decided_ = none;  // the last message of which it is known whether it is selected
  std::uint64_t begun_ = none;    // the last of which the stage got bytes
  bool decision_ = false;
  std::uint64_t given_ = 0;  // to the stage
  std::uint64_t done_ = 0;   // the stage with them
  Fifo<Waiting> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  Chunk last_out_;
};

}  // namespace weir::fault
