#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace weir {

// The first call of main: whichever of the descriptors 0, 1 and 2 was closed is opened, so that no socket and no file
// of ours gets its number, and messages with it. As in gnulib's stdopen, standard input cannot be read then, and
// standard output not be written to (EBADF): what is lost is told, by whoever reads or prints. Messages have nowhere
// else to go: standard error takes them and drops them.
inline void open_standard_descriptors() {
  constexpr int opened_for[] = {O_WRONLY, O_RDONLY, O_WRONLY};  // NOLINT(modernize-avoid-c-arrays): one line
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one, as those below are open.
    if (::open("/dev/null", opened_for[fd]) < 0) (void)!::open("/", O_PATH | O_DIRECTORY);
  }
}

}  // namespace weir
