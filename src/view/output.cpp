#include "view/output.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "base/duration.h"
#include "base/out_of_memory.h"

namespace weir::view {

Output::Output(int fd)
    : file_(Fd(), OutputOptions{}), borrowed_(fd), buffer_(std::make_unique_for_overwrite<char[]>(capacity)) {}

Output::Output(Fd file, OutputOptions options)
    : options_(std::move(options)),
      file_(std::move(file), options_),
      buffer_(std::make_unique_for_overwrite<char[]>(capacity)) {
  if (options_.name.empty()) options_.name = options_.path;
  status_.name = options_.name;
  if (!file_.is_regular()) rotate_no_more();
  begin_file();
}

// A file that ends in the middle of a line, such as after a crash, gets the line's end first.
void Output::begin_file() {
  ++files_begun_;
  if (file_.in_mid_line()) append("\n");
}

// Room for n bytes more at the buffer's end. Beyond its capacity only while the descriptor takes nothing.
void Output::make_room(std::size_t n) {
  if (room_ - used_ >= n) return;
  write_buffer();
  if (room_ - used_ >= n) return;
  const std::size_t room = std::max(used_ + n, 2 * room_);
  auto larger = std::make_unique_for_overwrite<char[]>(room);
  std::memcpy(larger.get(), buffer_.get(), used_);
  buffer_ = std::move(larger);
  room_ = room;
}

auto Output::space(std::size_t n) -> char* {
  assert(n <= capacity);
  make_room(n);
  return buffer_.get() + used_;
}

void Output::append(std::string_view text) {
  if (text.size() > room_ - used_) {
    write_buffer();
    if (closed()) return;
    if (used_ == 0 && text.size() > room_) text.remove_prefix(write_out(text.data(), text.size()));
    if (closed()) return;
    make_room(text.size());
  }
  used_ += text.copy(buffer_.get() + used_, text.size());
}

void Output::append(std::span<const std::byte> bytes) {
  if (!bytes.empty()) append(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

auto Output::flush() -> bool {
  if (is_down()) try_again();
  write_buffer();
  change_if_wanted();
  return !closed();
}

void Output::write_buffer() {
  const std::size_t done = write_out(buffer_.get(), used_);
  if (closed()) {
    used_ = 0;
  } else {
    used_ -= done;
    if (done > 0) std::memmove(buffer_.get(), buffer_.get() + done, used_);
  }
  if (used_ == 0 && !records_.empty()) {
    records_begin_ = records_.back().end;
    records_.clear();
  }
  if (used_ == 0 && room_ > capacity) {
    // Where there is no memory for the smaller one, it stays large.
    if (contained([this] { buffer_ = std::make_unique_for_overwrite<char[]>(capacity); })) room_ = capacity;
  }
}

auto Output::write_out(const char* data, std::size_t size) -> std::size_t {
  std::size_t done = 0;
  while (done < size && !closed() && !is_down() && !abandoned()) {
    const ssize_t written = ::write(borrowed_ >= 0 ? borrowed_ : file_.fd(), data + done, size - done);
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (written == 0) {
      failed(EIO);  // write(2) promises this for no descriptor; trying again might never end
    } else if (errno == EAGAIN) {
      wait_until_writable();
    } else if (errno != EINTR) {
      failed(errno);
    }
  }
  file_.wrote(data, done);
  written_ += done;
  return done;
}

void Output::wait_until_writable() {
  pollfd waiting{.fd = borrowed_ >= 0 ? borrowed_ : file_.fd(), .events = POLLOUT, .revents = 0};
  // Whatever poll says, and an interruption by a signal too, the next write decides.
  if (::poll(&waiting, 1, -1) < 0 && errno != EINTR) failed(errno);
}

auto Output::abandoned() -> bool {
  if (!abandoned_.load(std::memory_order_relaxed)) return false;
  error_ = ECANCELED;
  return true;
}

// --- trouble ---

void Output::failed(int error) {
  const bool passes = options_.trouble == Trouble::passes && (error != EBADF || file_.has_path()) &&
                      (error != EPIPE || (options_.outlives_reader && file_.has_path()));
  if (!passes) {
    error_ = error;
    return;
  }
  down_ = error;
  const MonoTime now = SystemClock::instance().mono();
  retry_at_ = now + options_.retry_every;
  bool is_new = false;
  {
    const std::lock_guard lock(mutex_);
    is_new = status_.error == 0;
    status_.error = error;
    if (is_new) ++status_.outages;
  }
  if (!is_new || (said_at_ && now < *said_at_ + options_.say_at_most)) return;  // mutant: output-outage-told-each-time
  said_at_ = now;
  told_ = true;
  say(LogLevel::error, fmt::format("{}: {}; it is tried again, and what is not written meanwhile is counted",
                                   options_.name, named_errno(error)));
}

void Output::try_again() {
  // mutant: output-retries-without-a-pause
  if (SystemClock::instance().mono() < retry_at_ && !reopen_asked_.load(std::memory_order_acquire)) return;
  if (file_.has_path()) {
    reopen_asked_.store(false, std::memory_order_release);
    const bool in_mid_line = file_.in_mid_line();
    const auto opened = file_.reopen();
    if (!opened) return failed(opened.error().code);
    if (*opened == OutputFile::Change::another_file) begin_another_file(in_mid_line);
  }
  down_ = 0;
  write_buffer();
  if (!is_down() && !closed()) recovered();
}

// It has nothing of what the one before it took.
void Output::begin_another_file(bool in_mid_line) {
  ++files_begun_;
  leave_torn_out(in_mid_line);
  if (!file_.in_mid_line()) return;
  make_room(1);
  std::memmove(buffer_.get() + 1, buffer_.get(), used_++);
  buffer_[0] = '\n';
  for (Record& record : records_) ++record.end;
}

// The second half of a record whose first half stands in the other file.
void Output::leave_torn_out(bool in_mid_line) {
  std::size_t whole = 0;
  for (; whole < records_.size() && records_[whole].end <= written_; ++whole) records_begin_ = records_[whole].end;
  records_.erase(records_.begin(), records_.begin() + static_cast<std::ptrdiff_t>(whole));
  if (records_.empty()) {
    // Whoever writes has told of no record: a line is one.
    if (!in_mid_line) return;
    const auto* const end = static_cast<const char*>(std::memchr(buffer_.get(), '\n', used_));
    drop_front(end == nullptr ? used_ : static_cast<std::size_t>(end - buffer_.get()) + 1);
    return count_lost({.events = 1});
  }
  if (written_ == records_begin_) return;
  const Record torn = records_.front();
  drop_front(static_cast<std::size_t>(torn.end - written_));
  records_begin_ = torn.end;
  records_.erase(records_.begin());
  if (torn.what.error == 0) count_lost(torn.what);
  torn_ = torn.what;
  torn_->error = down_;
}

void Output::drop_front(std::size_t n) {
  used_ -= n;
  written_ += n;
  std::memmove(buffer_.get(), buffer_.get() + n, used_);
}

void Output::recovered() {
  OutputStatus now;
  {
    const std::lock_guard lock(mutex_);
    status_.error = 0;
    now = status_;
  }
  if (std::exchange(told_, false)) {
    say(LogLevel::info,
        fmt::format("{}: it is written to again; not written so far: {} chunks ({} bytes) and {} other events",
                    now.name, now.lost_chunks, now.lost_bytes, now.lost_events));
  }
}

void Output::count_lost(const event::Gap& what) {
  const std::lock_guard lock(mutex_);
  status_.lost_chunks += what.chunks;
  status_.lost_bytes += what.bytes;
  status_.lost_events += what.events;
}

void Output::say(LogLevel level, const std::string& text) const {
  if (options_.say) options_.say(level, text);
}

auto Output::status() const -> OutputStatus {
  const std::lock_guard lock(mutex_);
  return status_;
}

// --- another file ---

auto Output::wants_change() const -> bool {
  if (reopen_asked_.load(std::memory_order_relaxed)) return true;
  const std::uint64_t bytes = file_.bytes() + used_;
  const bool is_long = options_.rotate_size && bytes >= *options_.rotate_size;
  if (!is_long && (!options_.rotate_every || bytes == 0)) return false;
  const MonoTime now = SystemClock::instance().mono();
  // After a rotation that failed it is not tried again at every record.
  return now >= retry_at_ && (is_long || now >= file_.begun_at() + *options_.rotate_every);
}

void Output::rotate_no_more() {
  options_.rotate_size.reset();
  options_.rotate_every.reset();
}

void Output::change_file() {
  if (is_down() || closed()) return;
  write_buffer();
  file_.measure();
  // A file's age counts from its first byte, which may have been written only now.
  if (is_down() || closed() || file_.in_mid_line() || !wants_change()) return;  // mutant: output-rotates-in-mid-line
  if (reopen_asked_.exchange(false, std::memory_order_acq_rel)) {
    const auto opened = file_.reopen();
    if (!opened && file_.fd() < 0) return failed(opened.error().code);
    if (!opened) {
      return say(LogLevel::error, fmt::format("{}: it cannot be opened again: {}; what was open is still written to",
                                              options_.name, opened.error().message));
    }
    if (*opened == OutputFile::Change::another_file) begin_file();
    return;
  }
  const bool another = file_.bytes() > 0;
  if (const auto rotated = another ? file_.rotate() : Result<void>(); !rotated) {
    if (file_.fd() < 0) return failed(rotated.error().code);
    retry_at_ = SystemClock::instance().mono() + options_.say_at_most;
    return say(LogLevel::error,
               fmt::format("{}: it cannot be rotated: {}; it grows on, and this is tried again in {}", options_.name,
                           named_errno(rotated.error().code), format_duration(options_.say_at_most)));
  }
  if (another) begin_file();
}

auto Output::due() const -> std::optional<Nanos> {
  if (closed()) return std::nullopt;
  if (reopen_asked_.load(std::memory_order_acquire)) return Nanos{0};
  const MonoTime now = SystemClock::instance().mono();
  if (is_down()) return std::max(Nanos{0}, Nanos{retry_at_ - now});
  if (!options_.rotate_every || file_.bytes() == 0) return std::nullopt;
  return std::max(Nanos{0}, Nanos{std::max(file_.begun_at() + *options_.rotate_every, retry_at_) - now});
}

void Output::reopen() {
  if (!file_.has_path()) return;
  reopen_asked_.store(true, std::memory_order_release);
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    wake = wake_;
  }
  if (wake) wake();
}

void Output::set_wake(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

}  // namespace weir::view
