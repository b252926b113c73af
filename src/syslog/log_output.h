// The system's side of a log target: descriptors and sockets.
#pragma once

#include <memory>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "syslog/target.h"

namespace weir::syslog {

// Ends the waiting of an output's thread, from any thread, once and for all.
class Interruption {
 public:
  Interruption();
  void now();
  [[nodiscard]] auto fd() const -> int { return event_.get(); }

 private:
  Fd event_;
};

// One target's descriptor. Calls may wait - for a name server, a handshake, a peer that does not read - so it
// has a thread of its own, where that is nobody's loss; an Interruption ends each wait but that for a name
// server, which the C library does not let go of.
class LogOutput {
 public:
  virtual ~LogOutput() = default;
  [[nodiscard]] virtual auto open() -> Result<void> = 0;
  // All of it, or an Error, after which it wants to be opened again. The error's code is EMSGSIZE if this
  // message can never be sent.
  [[nodiscard]] virtual auto send(std::string_view message) -> Result<void> = 0;
  virtual void close() = 0;
};

[[nodiscard]] auto make_output(const Target& target, const Interruption& interruption) -> std::unique_ptr<LogOutput>;

// Can a file be opened for it? An Error says why not; always fine for other targets, which may come up later.
[[nodiscard]] auto check_target(const Target& target) -> Result<void>;

// Is the descriptor the connection to systemd's journal, as JOURNAL_STREAM in the environment says? The journal knows
// when each line came.
[[nodiscard]] auto is_journal(int fd) -> bool;

inline constexpr int connect_patience_ms = 5000;

}  // namespace weir::syslog
