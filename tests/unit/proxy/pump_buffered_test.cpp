// A pump over an end that decodes what it reads (TLS): what it has decoded raises no edge any more.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <string>

#include "base/clock.h"
#include "proxy/pump.h"

namespace weir::proxy {
namespace {

struct NoPipe {
  [[nodiscard]] static auto create() -> std::unique_ptr<NoPipe> { return nullptr; }
  [[nodiscard]] auto bytes() const -> std::size_t { return 0; }
};

// Gives one record a read, whatever room there is, and collects what is written to it.
struct RecordEnd {
  using Pipe = NoPipe;
  std::deque<std::string> records;
  std::string written;

  auto read(std::span<std::byte> into) -> ReadResult {
    if (records.empty()) return {{.status = IoStatus::would_block}};
    const std::string record = records.front();
    records.pop_front();
    EXPECT_LE(record.size(), into.size());
    std::memcpy(into.data(), record.data(), record.size());
    return {{.bytes = record.size()}};
  }
  auto write(std::span<const std::byte> from) -> IoResult {
    written.append(reinterpret_cast<const char*>(from.data()), from.size());
    return {.bytes = from.size()};
  }
  [[nodiscard]] auto buffered() const -> bool { return !records.empty(); }
  [[nodiscard]] auto read_want() const -> Want { return Want::readable; }
  [[nodiscard]] auto write_want() const -> Want { return Want::writable; }
  auto close_write() -> IoResult { return {}; }
  [[nodiscard]] auto unsent() const -> std::size_t { return 0; }
  [[nodiscard]] auto dead() const -> bool { return false; }
  void take_stamps(const StampWishes&, std::uint64_t) {}
  auto drain_notices(TransmitStamps&) -> std::size_t { return 0; }
  [[nodiscard]] auto counters() const -> std::optional<event::LegCounters> { return std::nullopt; }
  void close() {}
  void reset() {}
  [[nodiscard]] auto can_splice() const -> bool { return false; }
  auto splice_in(Pipe&, std::size_t) -> IoResult { return {.status = IoStatus::would_block}; }
  auto splice_out(Pipe&) -> IoResult { return {.status = IoStatus::would_block}; }
};
static_assert(Endpoint<RecordEnd>);

struct Bench {
  ManualClock clock;
  std::array<std::byte, 128 * 1024> scratch{};
  BlockPool blocks;
  PipePool<NoPipe> pipes;
  PumpContext<NoPipe> context{clock, scratch, blocks, pipes};
  Leg<RecordEnd> source;
  Leg<RecordEnd> sink;
  Pump<RecordEnd, RecordEnd> pump{Direction::upstream};

  Bench() { sink.writable = true; }
  auto run() -> PumpStep { return pump.run(source, sink, context, event::SessionEvents{}, clock.mono()); }
};

TEST(PumpOfADecodingEnd, ReadsAllThatIsDecodedAfterOneEdge) {
  Bench bench;
  bench.source.end.records = {"one ", "two ", "three"};
  bench.source.readable = true;
  EXPECT_EQ(bench.run(), PumpStep::waiting);
  EXPECT_EQ(bench.sink.end.written, "one two three");
}

TEST(PumpOfADecodingEnd, ReadsWhatIsDecodedThoughTheSocketIsEmpty) {
  Bench bench;
  bench.source.end.records = {"left over"};
  bench.source.readable = false;
  EXPECT_EQ(bench.run(), PumpStep::waiting);
  EXPECT_EQ(bench.sink.end.written, "left over");
}

TEST(PumpOfADecodingEnd, AsksToRunAgainWhileDecodedBytesAreLeft) {
  Bench bench;
  for (int i = 0; i < Pump<RecordEnd, RecordEnd>::turns_per_run + 1; ++i) bench.source.end.records.emplace_back("r");
  bench.source.readable = true;
  EXPECT_EQ(bench.run(), PumpStep::again);
  EXPECT_EQ(bench.run(), PumpStep::waiting);
  EXPECT_EQ(bench.sink.end.written, "rrrrr");
}

}  // namespace
}  // namespace weir::proxy
