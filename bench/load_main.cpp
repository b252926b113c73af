#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#include "load.h"
#include "load_histogram.h"
#include "load_json.h"

namespace {

constexpr std::string_view usage = R"(usage: weir-load MODE ADDRESS [--option VALUE]...

  echo-server LISTEN   the peer of all modes but pg; prints {"listening": ADDRESS}, runs until SIGTERM
      --descriptors N (16384)
  rr ADDRESS           requests and responses
      --connections N (1)  --request BYTES (64)  --response BYTES (64)  --warmup S (0.2)  --seconds S (1)
      --requests N         exactly N instead of --seconds
      --rate R             open loop, R a second in all; latency from the time a request was due
      --arrivals even|poisson (even)  --seed N (1)
      --stuck N (0)        also N connections that ask for bytes and never read
      --stuck-bytes N      so many each, instead of without end: what all of them keep in the kernel adds up
      --gate               quiet and wait for a line on stdin before and after what is measured
  crr ADDRESS          connect, one request, close
      --parallel N (16)  --request BYTES (64)  --response BYTES (64)  --warmup S (0.2)  --seconds S (1)
  bulk ADDRESS         --streams N (1)  --direction down|up (down)  --warmup S (0.2)  --seconds S (1)
      --bytes N            exactly N each stream, from connect to end, instead of --seconds
  idle ADDRESS         --sessions N (10000)  --request BYTES (64)  --response BYTES (64); one exchange
                       each, then held until a line or the end of stdin
  pace ADDRESS         downstream bulk, read as it comes; prints when how much arrived
      --streams N (1)  --seconds S (4)
  pg ADDRESS           PostgreSQL, simple query protocol, trust authentication
      --queries N (1000)  --query BYTES (296)  --warmup-queries N (20)  --user (weir)  --database (postgres)
  histogram            reads nanoseconds, one a line, from stdin; prints what the histogram makes of them

  --watch NAME=PID[,PID...]   (rr, crr, bulk, pg; repeatable) CPU and memory of these process trees
)";

// For the self-test of bench/run, which knows the true quantiles of what it sends.
auto run_histogram(const weir::load::Arguments& arguments) -> int {
  arguments.finish();
  weir::load::Histogram histogram;
  unsigned long long value = 0;
  while (std::scanf("%llu", &value) == 1) histogram.record(value);
  weir::load::Json().add("count", histogram.count()).add_latency(histogram).print();
  return 0;
}

auto dispatch(std::string_view mode, const weir::load::Arguments& arguments) -> int {
  if (mode == "echo-server") return weir::load::run_server(arguments);
  if (mode == "rr") return weir::load::run_rr(arguments);
  if (mode == "crr") return weir::load::run_crr(arguments);
  if (mode == "bulk") return weir::load::run_bulk(arguments);
  if (mode == "idle") return weir::load::run_idle(arguments);
  if (mode == "pace") return weir::load::run_pace(arguments);
  if (mode == "pg") return weir::load::run_pg(arguments);
  if (mode == "histogram") return run_histogram(arguments);
  throw weir::load::UsageError(fmt::format("{}: no such mode (try weir-load --help)", mode));
}

}  // namespace

auto main(int argc, char** argv) -> int {
  if (argc < 2 || std::string_view(argv[1]) == "--help") {
    fmt::print(argc < 2 ? stderr : stdout, "{}", usage);
    return argc < 2 ? 2 : 0;
  }
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return dispatch(argv[1], weir::load::Arguments(argc - 2, argv + 2));
  } catch (const weir::load::UsageError& error) {
    fmt::print(stderr, "weir-load {}: {}\n", argv[1], error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "weir-load {}: {}\n", argv[1], error.what());
    return 1;
  }
}
