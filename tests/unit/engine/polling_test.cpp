#include "engine/polling.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::engine {
namespace {

using namespace std::chrono_literals;

TEST(Polling, IsAWordOrADuration) {
  EXPECT_EQ(parse_polling("off").value(), 0us);
  EXPECT_EQ(parse_polling("auto").value(), 50us);
  EXPECT_EQ(parse_polling("1us").value(), 1us);
  EXPECT_EQ(parse_polling("10ms").value(), 10ms);
}

TEST(Polling, AnythingElseIsASentence) {
  for (const char* text : {"", "on", "0", "0us", "999ns", "11ms", "-1us", "50"}) {
    const auto read = parse_polling(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().message,
              "write auto, off or a duration from 1us to 10ms, not \"" + std::string(text) + "\"");
  }
  EXPECT_LT(parse_polling(std::string(100'000, 'x')).error().message.size(), 200u);
}

}  // namespace
}  // namespace weir::engine
