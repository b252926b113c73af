#pragma once

#include <sys/types.h>

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
    int status = 0;  // as wait(2) gives it
    std::string out;
    std::string err;
    [[nodiscard]] auto good() const -> bool { return status == 0; }
    [[nodiscard]] auto words() const -> std::string;  // as Go: "exit status 1", "signal: killed"
  };

  // `words` is argv; `path` is the program's file; `environment` is "K=V" lines or empty for our own. `inherited`
  // is a descriptor that the child keeps open, or -1.
  // A "text file busy" is tried again, 6 times, 1 s apart: the file may just be being installed.
  [[nodiscard]] static auto start(const std::string& path, const std::vector<std::string>& words, std::string input,
                                  const std::vector<std::string>& environment = {}, int inherited = -1)
      -> Result<Child>;
  Child(Child&& other) noexcept;
  auto operator=(Child&& other) -> Child& = delete;
  Child(const Child&) = delete;
  auto operator=(const Child&) -> Child& = delete;
  ~Child();

  // Feeds and drains the child until it ends. Output beyond 16 MiB a stream is thrown away.
  [[nodiscard]] auto finish() -> Outcome;

 private:
  Child() = default;
  pid_t pid_ = -1;
  std::string input_;
  Fd in_;
  Fd out_;
  Fd err_;
};

}  // namespace weir::cni
