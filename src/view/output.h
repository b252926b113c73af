#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "event/event.h"
#include "view/output_file.h"

namespace weir::view {

// How an output fares, for whoever shows it.
struct OutputStatus {
  std::string name;
  int error = 0;              // the errno of the outage that lasts; 0: it is written to
  std::uint64_t outages = 0;  // so far, this one included
  std::uint64_t lost_chunks = 0;
  std::uint64_t lost_bytes = 0;
  std::uint64_t lost_events = 0;  // others than chunks
};

// A bounded buffer in front of a descriptor: views append, write(2) happens when it is full and at
// flush(). One thread (the observer's), except abandon(), reopen() and status().
//
// Once the descriptor takes no more (EPIPE, ENOSPC, ...), what happens is OutputOptions::trouble. Trouble::ends_it:
// whatever is appended is thrown away and flush() returns false. Trouble::passes: the output is down; what it holds
// is kept, to be written when it takes something again, and the record that was begun may still be appended to its
// end; the writer then leaves records out, and counts them, until is_down() is false. So half a record is never left,
// and what is kept is bounded by the buffer and one record. Where another file takes the place of the one that has a
// record's first half, the second half is left out, and the writer is given what the record was about (take_torn).
//
// A slow reader of the descriptor blocks flush() and so its caller: that is how `--when-slow block`
// slows the traffic. A non-blocking descriptor is waited for with poll(2). The program must ignore
// SIGPIPE, and SIGXFSZ.
class Output {
 public:
  // Large enough that bulk costs one write(2) per 128 KiB or so, small enough to stay in the L2 cache.
  static constexpr std::size_t capacity = 128 * 1024;

  // Borrows `fd`, which must outlive the Output. What is not flushed when it is destroyed is lost.
  explicit Output(int fd);
  Output(Fd file, OutputOptions options);

  // Room for n bytes (<= capacity), valid until the next call; written ones are added by commit().
  // Never fails: a closed output hands out room as well.
  [[nodiscard]] auto space(std::size_t n) -> char*;
  void commit(std::size_t n) { used_ += n; }

  // Any length. Long runs go to the descriptor without being copied.
  void append(std::string_view text);
  void append(std::span<const std::byte> bytes);

  // Between two records: writes what is buffered, and does what is due: opens the file again, begins another one, tries
  // whether it takes something again. false: the descriptor takes no more, for ever.
  [[nodiscard]] auto flush() -> bool;
  // A record ends here: the place where one file may end and another begin. `what` is missing if it is lost; without
  // error, unless it is counted as lost already.
  void end_record(const event::Gap& what) {
    if (options_.trouble == Trouble::passes && options_.lines) records_.push_back({written_ + used_, what});
    change_if_wanted();
  }

  [[nodiscard]] auto closed() const -> bool { return error_ != 0; }
  // The errno that closed it, 0 while open. EPIPE: the reader left, which is nobody's fault.
  // ECANCELED: abandon().
  [[nodiscard]] auto error() const -> int { return error_; }
  // For now it takes nothing: append no record. The errno why; 0: it does.
  [[nodiscard]] auto is_down() const -> bool { return down_ != 0; }
  [[nodiscard]] auto why_down() const -> int { return down_; }
  // A record that was left out.
  void count_lost(const event::Gap& what);
  // After flush(): what was about to be written and is left out, as its first half stands in another file; with the
  // outage's errno. It is counted already.
  [[nodiscard]] auto take_torn() -> std::optional<event::Gap> { return std::exchange(torn_, std::nullopt); }
  // Nothing comes after this: one more try at once.
  void try_now() { retry_at_ = MonoTime::min(); }
  // When flush() has something to do although nothing was appended: in so long. None: never.
  [[nodiscard]] auto due() const -> std::optional<Nanos>;
  // Grows whenever another file begins, which knows nothing of what the one before it was told.
  [[nodiscard]] auto files_begun() const -> unsigned { return files_begun_; }

  // From any thread: the file is to be opened again by its path, as it was moved away. It is done on the writer's
  // thread between two records; `wake` has it call flush() soon.
  void reopen();
  void set_wake(std::function<void()> wake);
  // From any thread.
  [[nodiscard]] auto status() const -> OutputStatus;

  // From any thread: nothing more is to be written. A write(2) that is blocked sees it when a signal
  // interrupts it (a handler without SA_RESTART), so the caller keeps signalling the observer's
  // thread until that thread has ended.
  void abandon() { abandoned_.store(true, std::memory_order_relaxed); }

 private:
  void make_room(std::size_t n);
  void write_buffer();
  [[nodiscard]] auto write_out(const char* data, std::size_t size) -> std::size_t;
  void wait_until_writable();
  [[nodiscard]] auto abandoned() -> bool;
  [[nodiscard]] auto wants_change() const -> bool;
  void change_if_wanted() {
    if (wants_change()) change_file();
  }
  void change_file();
  void begin_file();
  void rotate_no_more();
  void failed(int error);
  void try_again();
  void begin_another_file(bool in_mid_line);
  void leave_torn_out(bool in_mid_line);
  void drop_front(std::size_t n);
  void recovered();
  void say(LogLevel level, const std::string& text) const;

  OutputOptions options_;
  OutputFile file_;
  int borrowed_ = -1;
  int error_ = 0;
  int down_ = 0;
  MonoTime retry_at_{};
  std::optional<MonoTime> said_at_;  // the last outage that was told
  bool told_ = false;                // of this outage
  unsigned files_begun_ = 0;
  std::size_t used_ = 0;
  std::size_t room_ = capacity;
  std::unique_ptr<char[]> buffer_;
  // Those that end in the buffer, to tell which of them a file took by half. Offsets count all bytes that were
  // appended.
  struct Record {
    std::uint64_t end;
    event::Gap what;
  };
  std::vector<Record> records_;
  std::uint64_t records_begin_ = 0;  // of the first of them
  std::uint64_t written_ = 0;        // where the buffer begins
  std::optional<event::Gap> torn_;
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> reopen_asked_{false};
  mutable std::mutex mutex_;  // of what follows
  std::function<void()> wake_;
  OutputStatus status_;
};

}  // namespace weir::view
