// Where messages begin and end; and how long their places are remembered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/framer.h"

namespace weir::protocol {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// "0+3": begins at 0, three bytes long; "3+": and has not ended.
auto told(const Messages& messages) -> std::vector<std::string> {
  std::vector<std::string> lines;
  for (std::uint64_t number = messages.first(); number < messages.next(); ++number) {
    const Message& each = messages[number];
    lines.push_back(std::to_string(each.begin) + "+" +
                    (each.end == Message::open ? "" : std::to_string(each.end - each.begin)));
  }
  return lines;
}

class Line : public testing::Test {
 protected:
  void comes(std::string_view text, Direction direction = Direction::upstream) {
    auto& offset = offset_[index(direction)];
    EXPECT_TRUE(framer_->on_bytes(direction, offset, std::as_bytes(std::span(text)), found_[index(direction)]));
    offset += text.size();
  }
  std::unique_ptr<Framer> framer_ = find_framer("line")->make();
  Messages found_[2];
  std::uint64_t offset_[2] = {};
};

TEST_F(Line, EndsWithItsLineFeed) {
  comes("ab\n\nc\r\nd");
  EXPECT_THAT(told(found_[0]), ElementsAre("0+3", "3+1", "4+3", "7+"));
}

TEST_F(Line, MayComeInPieces) {
  comes("a");
  comes("b");
  comes("\n");
  EXPECT_THAT(told(found_[0]), ElementsAre("0+3"));
  comes("c");
  EXPECT_THAT(told(found_[0]), ElementsAre("0+3", "3+"));
}

TEST_F(Line, IsCountedInEachDirectionByItself) {
  comes("ab", Direction::upstream);
  comes("c\n", Direction::downstream);
  comes("\n", Direction::upstream);
  EXPECT_THAT(told(found_[0]), ElementsAre("0+3"));
  EXPECT_THAT(told(found_[1]), ElementsAre("0+2"));
}

TEST_F(Line, MayBeOfAnyLength) {
  for (int i = 0; i < 100; ++i) comes(std::string(1'000'000, 'x'));
  comes("\ny\n");
  EXPECT_THAT(told(found_[0]), ElementsAre("0+100000001", "100000001+2"));
}

TEST_F(Line, IsFoundAtTheSamePlacesWhateverTheChunks) {
  const std::string stream = "one\n\ntwo\r\nthree, and more\n\n\nthe rest";
  comes(stream);
  for (std::size_t size = 1; size < stream.size(); ++size) {
    const auto framer = find_framer("line")->make();
    Messages found;
    for (std::size_t at = 0; at < stream.size(); at += size) {
      const auto piece = std::string_view(stream).substr(at, size);
      EXPECT_TRUE(framer->on_bytes(Direction::downstream, at, std::as_bytes(std::span(piece)), found));
    }
    EXPECT_EQ(told(found), told(found_[0])) << "in pieces of " << size;
  }
}

TEST(Messages, KeepTheirNumbersWhenOthersAreForgotten) {
  Messages messages;
  for (const std::uint64_t at : {0U, 10U, 20U}) {
    messages.begin(at);
    messages.end(at + 10);
  }
  messages.begin(30);
  messages.forget_until(25);
  EXPECT_THAT(told(messages), ElementsAre("20+10", "30+"));
  EXPECT_EQ(messages.first(), 2u);
  messages.forget_until(1000);
  EXPECT_THAT(told(messages), ElementsAre("30+")) << "one that is open is not over";
  messages.end(40);
  messages.forget_until(40);
  EXPECT_THAT(told(messages), IsEmpty());
  messages.begin(50);
  EXPECT_EQ(messages.first(), 4u);
}

TEST(Messages, AreRememberedInOrderHoweverManyPass) {
  Messages messages;
  for (std::uint64_t at = 0; at < 10'000; ++at) {
    messages.begin(at);
    messages.end(at + 1);
    if (at >= 100) messages.forget_until(at - 99);
    ASSERT_LE(messages.count(), 100u);
    ASSERT_EQ(messages[messages.first()].begin, messages.first()) << "each is one byte long";
  }
}

TEST(Messages, EndOnceOnly) {
  Messages messages;
  messages.end(5);
  messages.begin(5);
  messages.end(8);
  messages.end(9);
  EXPECT_THAT(told(messages), ElementsAre("5+3"));
}

TEST(Framers, AreFoundByTheirName) {
  for (const FramerInfo* info : framers()) EXPECT_EQ(find_framer(info->name), info);
  EXPECT_EQ(find_framer("lien"), nullptr);
}

}  // namespace
}  // namespace weir::protocol
