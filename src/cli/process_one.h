// What the first process of a PID namespace, such as a container's, has to see to by itself.
#pragma once

namespace weir::cli {

// To such a process the kernel delivers no signal that it does not handle, so that nothing but SIGKILL would end it,
// and it inherits all orphans. From here on SIGHUP, SIGINT, SIGQUIT and SIGTERM end it at once, as they end other
// processes, until a command handles them itself, and no child stays a zombie. Nothing if this is another process.
// Before any thread is started.
void prepare_as_process_one();

}  // namespace weir::cli
