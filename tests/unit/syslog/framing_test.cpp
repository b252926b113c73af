#include "syslog/framing.h"

#include <gtest/gtest.h>

#include <vector>

namespace weir::syslog {
namespace {

// All frames of a stream that arrives in pieces of this size.
auto frames(std::string_view stream, std::size_t piece, std::size_t limit = FrameReader::default_limit)
    -> std::vector<std::string> {
  FrameReader reader(limit);
  std::vector<std::string> out;
  const auto note = [&](const Frame& frame) {
    out.push_back((frame.framing == Framing::octet_counting ? "#" : "") + frame.text + (frame.cut ? "~" : ""));
  };
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    reader.add(stream.substr(at, piece));
    while (const auto frame = reader.next()) note(*frame);
  }
  while (const auto frame = reader.rest()) note(*frame);
  return out;
}

using Texts = std::vector<std::string>;

TEST(SyslogFraming, TheSameFramesWhateverTheChunking) {
  const std::string stream = std::string("7 <34>a\nb<1>line\n<2>crlf\r\n<3>nul\0", 34) + "5 <4>x<5>rest";
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EXPECT_EQ(frames(stream, piece), (Texts{"#<34>a\nb", "<1>line", "<2>crlf", "<3>nul", "#<4>x<", "5>rest"})) << piece;
  }
}

TEST(SyslogFraming, WhatIsNoCountIsALine) {
  const Texts expected{"007 <1>x", "12abc", "12 abc", "1234567890 <1>x"};
  EXPECT_EQ(frames("007 <1>x\n12abc\n12 abc\n1234567890 <1>x\n", 3), expected);
}

TEST(SyslogFraming, BeyondTheLimitIsCutAndTheNextFrameIsWhole) {
  for (std::size_t piece : {1UL, 4UL, 100UL}) {
    EXPECT_EQ(frames("19 <1>4567890123456789<2>next\n", piece, 8), (Texts{"#<1>45678~", "<2>next"})) << piece;
    EXPECT_EQ(frames("<1>4567890123456789\n<2>next\n", piece, 8), (Texts{"<1>45678~", "<2>next"})) << piece;
  }
}

TEST(SyslogFraming, ALineWithoutAnEndIsCutBeforeItsEndComes) {
  FrameReader reader(8);
  reader.add("<1>4567890123456789");
  const auto cut = reader.next();
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->text, "<1>45678");
  EXPECT_TRUE(cut->cut);
  reader.add("its rest\n<2>next\n");
  EXPECT_EQ(reader.next()->text, "<2>next");
}

TEST(SyslogFraming, ARestIsNoLongerThanTheLimitEither) {
  EXPECT_EQ(frames("300 <1>4567", 5, 8), (Texts{"300 <1>4~"})) << "the count and a frame that never came whole";
}

TEST(SyslogFraming, WhatIsFramedReadsBack) {
  EXPECT_EQ(frames(frame("<1>a\nb", Framing::octet_counting) + frame("<1>a\nb", Framing::non_transparent), 5),
            (Texts{"#<1>a\nb", "<1>a b"}));
}

}  // namespace
}  // namespace weir::syslog
