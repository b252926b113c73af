#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/result.h"

namespace weir::view {

// What is done where a descriptor takes no more: a full disk, a file beyond its limit, a failing device.
enum class Trouble : std::uint8_t {
  ends_it,  // the output is closed: whoever writes ends with it
  passes,   // it is tried again; what comes meanwhile is for the writer to count and leave out
};

struct OutputOptions {
  std::string path{};  // by which it is opened again; empty: the descriptor is all there is
  std::string name{};  // what it is called in messages; empty: the path
  unsigned mode = 0666;
  Trouble trouble = Trouble::ends_it;
  bool outlives_reader = false;                 // with Trouble::passes, EPIPE is such a trouble too
  bool lines = true;                            // its records are lines: half a line is ended before another one begins
  std::optional<std::uint64_t> rotate_size{};   // bytes; the record that reaches it is the file's last
  std::optional<Nanos> rotate_every{};          // the age at which a file that holds something is the last
  Nanos retry_every = std::chrono::seconds{1};  // Trouble::passes
  Nanos say_at_most = std::chrono::seconds{60};             // one outage is told in so long
  std::function<void(LogLevel, const std::string&)> say{};  // a sentence for people, on the writer's thread
};

// Creates the file if it is not there; `flags` is 0 or O_TRUNC. Always O_APPEND, so that a file that somebody cuts
// (logrotate's copytruncate) begins anew without a hole. Waits for nobody: a pipe that has no reader is an error, whose
// message is for "PATH: message".
[[nodiscard]] auto open_for_writing(const std::string& path, int flags, unsigned mode) -> Result<Fd>;

// A copy of this process's standard output. An Error if it was closed when the process began.
[[nodiscard]] auto standard_output() -> Result<Fd>;

// "No space left on device (ENOSPC)"
[[nodiscard]] auto named_errno(int error) -> std::string;

// The file behind an Output, and its changes. One thread.
class OutputFile {
 public:
  OutputFile(Fd file, const OutputOptions& options);

  [[nodiscard]] auto fd() const -> int { return file_.get(); }
  [[nodiscard]] auto has_path() const -> bool { return !path_.empty(); }
  // Bytes in it: what it held when it was opened, and what was written since.
  [[nodiscard]] auto bytes() const -> std::uint64_t { return bytes_; }
  // Its last byte ended no line.
  [[nodiscard]] auto in_mid_line() const -> bool { return mid_line_; }
  // When its first byte of ours was written.
  [[nodiscard]] auto begun_at() const -> MonoTime { return begun_at_; }
  // Only such a file can be rotated: what is a device or a pipe to others stays where it is.
  [[nodiscard]] auto is_regular() const -> bool { return regular_; }
  void wrote(const char* data, std::size_t size);
  // Somebody may have cut it: asks how long it is now.
  void measure();

  enum class Change : std::uint8_t { same_file, another_file };
  // Opens the path again. On an Error what was open stays so, unless it was removed: then it is let go of, as its
  // bytes fill the disk.
  auto reopen() -> Result<Change>;
  // Gives it the next free number, FILE.1, FILE.2 and so on in the order of their making, and begins the file anew. On
  // an Error either nothing has changed, or nothing is open any more: fd() is -1.
  auto rotate() -> Result<void>;

 private:
  void look();

  std::string path_;
  unsigned mode_;
  bool lines_;
  Fd file_;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_number_ = 0;  // 0: not looked for yet
  bool mid_line_ = false;
  bool regular_ = false;
  MonoTime begun_at_{};
};

}  // namespace weir::view
