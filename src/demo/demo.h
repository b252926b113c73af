// Room demo/, floor 8: the embedded demonstration. One page of queries runs direct, through the proxy
// of the story (a naive relay) and through Weir, on loopback, with no other server; then the table.
// All but embedded_weir.* includes base/ only: Weir is handed in as a WeirUnderTest, so that the relay
// and the peers share no code with what they are compared with; embedded_weir.h makes one with engine/.
// Start here, then naive_relay.h (why 88 ms a query), page.h (what is measured), report.h (the table).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "demo/report.h"

namespace weir::demo {

enum class WeirView : unsigned char {
  none,  // as `--show none`: nothing reads the bytes
  text,  // as `--show text`: every byte goes through the printer, into memory
  why,   // as `weir why`: the excerpt is its report, of lines of at most 78 columns
};

// One running Weir: listens on 127.0.0.1 and connects to the upstream it was started with. The
// demonstration calls it from one thread.
class WeirUnderTest {
 public:
  virtual ~WeirUnderTest() = default;  // stops it if it still runs
  [[nodiscard]] virtual auto port() const -> std::uint16_t = 0;
  // Ends it and waits for it, its view included. Called once, before stream_excerpt().
  virtual auto stop() -> Result<void> = 0;
  // The first lines its view printed, or its report: without colours, no control characters but '\n'. At least 16
  // lines if there were so many; empty with WeirView::none.
  [[nodiscard]] virtual auto stream_excerpt() const -> std::string = 0;
};

using StartWeir = std::function<Result<std::unique_ptr<WeirUnderTest>>(std::uint16_t upstream_port, WeirView view)>;

struct DemoOptions {
  std::size_t page = 1000;         // queries of a page; at least 1
  std::size_t naive_queries = 80;  // through the naive relay; about 7 s. At least 1
  std::size_t judged_queries =
      40;                  // through the naive relay and the Weir behind it that says why; about 2 s. At least 1
  std::size_t rounds = 9;  // pages run direct and through Weir, in turn. At least 1
  // No further round begins after so long: a busy machine gets fewer rounds, not a longer wait.
  std::chrono::milliseconds rounds_limit = std::chrono::milliseconds(2500);
  std::FILE* progress = nullptr;  // a terminal for the line that tells how far it is; none if null
  std::string program = "weir";   // how this program is called, for what to type next
};

// Runs the demonstration: some ten seconds, most of them spent in the naive relay. Every peer it
// starts is stopped when it returns.
[[nodiscard]] auto run_demo(const StartWeir& start_weir, const DemoOptions& options) -> Result<DemoReport>;

}  // namespace weir::demo
