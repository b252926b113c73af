// bench/: weir-load, the load generator and test peer of the benchmarks, and bench/run, which drives
// it. It includes base/ alone, so that nothing it measures is also what it measures with.
// One file per kind of load (load_rr, load_crr, load_bulk, load_idle, load_pace, load_pg) and one for the peer
// that all but load_pg talk to (load_server). Every mode is one thread on one epoll.
// Start reading at load_main.cpp, then load_wire.h and load_rr.cpp.
#pragma once

#include "load_arguments.h"

namespace weir::load {

// Each runs its mode to the end, prints one JSON object on stdout and returns the exit code:
// 0 measured, 1 the load failed (the JSON or stderr says how), 2 wrong arguments.
auto run_server(Arguments arguments) -> int;  // until SIGTERM or SIGINT
auto run_rr(Arguments arguments) -> int;
auto run_crr(Arguments arguments) -> int;
auto run_bulk(Arguments arguments) -> int;
auto run_idle(Arguments arguments) -> int;
auto run_pace(Arguments arguments) -> int;
auto run_pg(Arguments arguments) -> int;

}  // namespace weir::load
