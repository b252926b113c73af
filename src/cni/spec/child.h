#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cni/spec/error.h"

namespace weir::cni {

// A program that runs beside us: it reads `input`, and what it writes is kept. One thread owns it. A child
// that is not waited for is waited for by the destructor, so that no rule or lease changes after we ended.
class Child {
 public:
  struct Outcome {
    int status = 0;          // as wait(2) gives it
    bool timed_out = false;  // its time was up: it and all that it had started were killed
    int seconds = 0;         // that it had, then
    std::string out;
    std::string err;
    [[nodiscard]] auto good() const -> bool { return status == 0 && !timed_out; }
    [[nodiscard]] auto words() const
        -> std::string;  // as Go: "exit status 1", "signal: killed"; or that its time was up
  };

  // `words` is argv; `path` is the program's file; it has `seconds` from now on. `environment` is "K=V" lines or empty
  // for our own. `inherited` is a descriptor that the child keeps open, or -1. It leads a process group of its own.
  // A "text file busy" is tried again, 6 times, 1 s apart: the file may just be being installed.
  [[nodiscard]] static auto start(const std::string& path, const std::vector<std::string>& words, std::string input,
                                  int seconds, const std::vector<std::string>& environment = {}, int inherited = -1)
      -> Result<Child>;
  Child(Child&& other) noexcept;
  auto operator=(Child&& other) -> Child& = delete;
  Child(const Child&) = delete;
  auto operator=(const Child&) -> Child& = delete;
  ~Child();

  // Feeds and drains the child until it ends, or its time is up. Output beyond 16 MiB a stream is thrown away. What
  // it started and left running is not waited for.
  [[nodiscard]] auto finish() -> Outcome;

 private:
  Child() = default;
  [[nodiscard]] auto has_ended(int& status) const -> bool;
  auto kill(int& status) -> void;
  auto exchange(Outcome& outcome) -> void;

  pid_t pid_ = -1;
  int seconds_ = 0;
  std::int64_t deadline_ms_ = 0;  // of clock_ms()
  Fd alive_;                      // its pidfd, where the kernel has them (5.3)
  std::string input_;
  Fd in_;
  Fd out_;
  Fd err_;
};

}  // namespace weir::cni
