#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "cni/bridge/rules.h"

namespace weir::cni::bridge {

auto RemovingRules::start(const Config& config, const RuleOwner& owner) -> RemovingRules {
  RemovingRules removing;
  if (!config.masquerade && !config.mac_spoof_check) return removing;
  std::array<int, 2> ends{};
  const pid_t parent = ::getpid();
  // A process instead of a thread: deleting rules costs some 15 ms in the kernel when the socket is closed,
  // and deleting a link as much, and a process this small is made in a tenth of a millisecond.
  if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
    removing.answer_ = Fd(ends[0]);
    const Fd speak(ends[1]);
    removing.pid_ = ::fork();
    if (removing.pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // after a DEL that was killed, the next one does it
      if (::getppid() != parent) ::_exit(1);
      const auto done = remove_rules(config, owner);
      const std::string answer = done ? "" : done.error().msg;
      (void)!::write(speak.get(), answer.data(), answer.size());
      ::_exit(0);
    }
  }
  if (removing.pid_ < 0) removing.done_ = remove_rules(config, owner);
  return removing;
}

auto RemovingRules::finish() -> Result<void> {
  if (pid_ < 0) return done_;
  std::string said;
  std::array<char, 1024> buffer{};
  while (true) {
    const auto n = ::read(answer_.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    said.append(buffer.data(), static_cast<std::size_t>(n));
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (!said.empty()) return fail(said);
  if (status != 0) return fail("removing packet filter rules ended early; call DEL again");
  return {};
}

}  // namespace weir::cni::bridge
