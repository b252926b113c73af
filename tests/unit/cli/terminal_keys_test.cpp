#include "cli/terminal_keys.h"

#include <gmock/gmock.h>

namespace weir::cli {
namespace {

using Kind = Key::Kind;
using testing::ElementsAre;

TEST(TerminalKeys, characters_are_keys_of_their_own) {
  EXPECT_THAT(parse_keys("jü"), ElementsAre(Key{Kind::text, "j"}, Key{Kind::text, "ü"}));
  EXPECT_THAT(parse_keys("\r\x7f\x01"), ElementsAre(Key{Kind::enter}, Key{Kind::backspace}, Key{Kind::other}));
}

TEST(TerminalKeys, a_character_of_any_length_is_one_key) {
  for (const char* character : {"a", "ü", "€", "\xf0\x9f\x90\x9f"}) {
    EXPECT_THAT(parse_keys(std::string(character) + "x"),
                ElementsAre(Key{Kind::text, character}, Key{Kind::text, "x"}));
  }
}

TEST(TerminalKeys, sequences_are_one_key) {
  EXPECT_THAT(parse_keys("\x1b[A\x1b[Bx"), ElementsAre(Key{Kind::up}, Key{Kind::down}, Key{Kind::text, "x"}));
  EXPECT_THAT(parse_keys("\x1bOA\x1b[5~\x1b[6~\x1b[F"),
              ElementsAre(Key{Kind::up}, Key{Kind::page_up}, Key{Kind::page_down}, Key{Kind::end}));
  EXPECT_THAT(parse_keys("\x1b[1;5Cq"), ElementsAre(Key{Kind::other}, Key{Kind::text, "q"})) << "Ctrl-Right is unknown";
}

TEST(TerminalKeys, a_lone_escape_is_a_key) {
  EXPECT_THAT(parse_keys("\x1b"), ElementsAre(Key{Kind::escape}));
  EXPECT_THAT(parse_keys("\x1b["), ElementsAre(Key{Kind::other})) << "cut off";
  EXPECT_THAT(parse_keys("\xe4"), ElementsAre(Key{Kind::text, "\xe4"})) << "no UTF-8";
}

}  // namespace
}  // namespace weir::cli
