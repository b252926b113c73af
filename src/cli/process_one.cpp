#include "cli/process_one.h"

#include <unistd.h>

#include <csignal>
#include <initializer_list>

namespace weir::cli {
namespace {

// As a shell tells of a process that a signal ended.
void end_at_once(int signal) { ::_exit(128 + signal); }

}  // namespace

void prepare_as_process_one() {
  if (::getpid() != 1) return;
  for (const int each : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
    // One that whoever started us ignores stays ignored.
    if (std::signal(each, end_at_once) == SIG_IGN) std::signal(each, SIG_IGN);
  }
  // wait(2): the kernel then removes children by itself when they end. Weir starts none whose end it would wait for.
  std::signal(SIGCHLD, SIG_IGN);
}

}  // namespace weir::cli
