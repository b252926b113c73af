#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "view/scene.h"

namespace weir::view {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

auto counted(std::size_t n) -> std::string {
  std::string bytes;
  for (std::size_t i = 0; i < n; ++i) bytes += static_cast<char>(i);
  return bytes;
}

TEST(HexView, WritesAllBytesThirtyTwoALine) {
  Scene scene({.kind = ViewKind::hex, .utf8 = true});

  scene.up(1, "Hello\n\xff");
  scene.down(1, counted(33));

  EXPECT_EQ(scene.printed(),
            "-- 2023-11-14 (UTC+00:00)\n"
            "22:13:20.000000          #1 → 7 bytes\n"
            "  48 65 6c 6c 6f 0a ff\n"
            "22:13:20.000000      +0s #1 ← 33 bytes\n"
            "  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f\n"
            "  20\n");
}

TEST(HexView, ShowsSessionLinesLikeText) {
  Scene scene({.kind = ViewKind::hex});
  scene.opened(1);
  scene.closed(1, server_fin());
  EXPECT_THAT(scene.printed(), testing::AllOf(HasSubstr("#1 opened: client"), HasSubstr("#1 closed by server.fin")));
}

TEST(DumpView, IsTheCanonicalHexDumpWithOffsetsInTheStream) {
  Scene scene({.kind = ViewKind::dump, .utf8 = true});

  scene.chunk(1, Direction::upstream, "Hello world.\n", 0);
  scene.chunk(1, Direction::upstream, counted(24), 0x1f0d);

  EXPECT_EQ(scene.printed(),
            "-- 2023-11-14 (UTC+00:00)\n"
            "22:13:20.000000          #1 → 13 bytes\n"
            "  00000000  48 65 6c 6c 6f 20 77 6f  72 6c 64 2e 0a           |Hello world..|\n"
            "22:13:20.000000      +0s #1 → 24 bytes\n"
            "  00001f0d  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|\n"
            "  00001f1d  10 11 12 13 14 15 16 17                           |........|\n");
}

TEST(DumpView, WidensItsOffsetsBeyondFourGigabytes) {
  Scene scene({.kind = ViewKind::dump});

  scene.chunk(1, Direction::downstream, counted(17), 0xffff'fff0);

  EXPECT_THAT(scene.printed(),
              EndsWith("  fffffff0  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|\n"
                       "  0000000100000000  10                                                |.|\n"));
}

TEST(DumpView, KeepsCountingThroughAChunkOfManyPieces) {
  Scene scene({.kind = ViewKind::dump});

  scene.chunk(1, Direction::downstream, std::string(10'000, '~'), 0);

  const std::string printed = scene.printed();
  std::size_t offset = 0;
  std::size_t lines = 0;
  for (auto at = printed.find("\n  0"); at != std::string::npos; at = printed.find("\n  0", at + 1)) {
    EXPECT_EQ(std::stoul(printed.substr(at + 3, 8), nullptr, 16), offset);
    offset += 16;
    ++lines;
  }
  EXPECT_EQ(lines, 625u);
}

}  // namespace
}  // namespace weir::view
