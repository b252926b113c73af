#include <gtest/gtest.h>

#include "view/scene.h"

namespace weir::view {
namespace {

void live_through(Scene& scene, std::string_view bytes) {
  scene.opened(1);
  scene.up(1, bytes);
  scene.gap({.chunks = 1, .bytes = 2, .events = 3});
  scene.half_closed(1, Direction::upstream);
  scene.down(1, bytes);
  scene.closed(1, server_fin());
  scene.closed(2, refused());
}

TEST(RawView, IsThePayloadAndNothingElse) {
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  Scene scene({.kind = ViewKind::raw, .color = true});

  live_through(scene, all_bytes);

  EXPECT_EQ(scene.printed(), all_bytes + all_bytes);
}

TEST(RawView, GivesOneDirectionsStream) {
  Scene scene({.kind = ViewKind::raw, .only = Direction::downstream});

  scene.up(1, "ask");
  scene.down(1, "ans");
  scene.up(2, "ask");
  scene.down(2, "wer");

  EXPECT_EQ(scene.printed(), "answer");
}

TEST(RawView, CutsWhatTheLimitCutsWithoutAMark) {
  Scene scene({.kind = ViewKind::raw, .limit = 2});
  scene.up(1, "abcd");
  scene.up(1, "x");
  EXPECT_EQ(scene.printed(), "abx");
}

TEST(RawView, PassesOnChunksLargerThanTheBuffer) {
  std::string large(2 * Output::capacity + 17, 'x');
  for (std::size_t i = 0; i < large.size(); i += 7) large[i] = static_cast<char>(i);
  Scene scene({.kind = ViewKind::raw});
  scene.up(1, "first");
  scene.up(1, large);
  scene.up(1, "last");
  EXPECT_EQ(scene.printed(), "first" + large + "last");
}

TEST(NoView, PrintsNothing) {
  Scene scene({.kind = ViewKind::none});
  live_through(scene, "bytes");
  EXPECT_EQ(scene.printed(), "");
}

}  // namespace
}  // namespace weir::view
