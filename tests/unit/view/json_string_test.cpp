#include "view/json_string.h"

#include <gtest/gtest.h>

#include "view/encode.h"
#include "view/scene.h"

namespace weir::view {
namespace {

auto check(std::string_view text) -> Utf8Check { return check_utf8(std::as_bytes(std::span(text))); }

TEST(Utf8, AcceptsTheFirstAndLastCharacterOfEachLength) {
  for (const auto text : {""sv, "\x00"sv, "\x7f"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv,
                          "\xee\x80\x80"sv, "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv}) {
    EXPECT_EQ(check(text).valid, text.size());
    EXPECT_FALSE(check(text).truncated);
  }
}

TEST(Utf8, RefusesWhatIsNotACharacter) {
  for (const auto text : {"\x80"sv,                                    // a continuation alone
                          "\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv,        // overlong
                          "\xe0\x9f\xbf"sv, "\xf0\x8f\xbf\xbf"sv,      // overlong
                          "\xed\xa0\x80"sv, "\xed\xbf\xbf"sv,          // surrogates
                          "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv,  // above U+10FFFF
                          "\xff"sv, "\xfe"sv, "\xc3("sv, "\xe4\xb8("sv, "\xf0\x9f\x98("sv}) {
    for (const auto& before : {""s, "abc"s, "abcdefgh"s, "abcdefghijk"s, "\u4e16"s}) {
      for (const auto& after : {""s, "z"s, "abcdefghijk"s}) {
        const Utf8Check checked = check(before + std::string(text) + after);
        EXPECT_EQ(checked.valid, before.size());
        EXPECT_FALSE(checked.truncated);
      }
    }
  }
}

TEST(Utf8, KnowsACharacterThatTheEndCutsOff) {
  for (const auto text : {"\xc3"sv, "\xe4"sv, "\xe4\xb8"sv, "\xf0"sv, "\xf0\x9f"sv, "\xf0\x9f\x98"sv, "\xe0\xa0"sv}) {
    const Utf8Check checked = check("ab" + std::string(text));
    EXPECT_EQ(checked.valid, 2u);
    EXPECT_TRUE(checked.truncated);
  }
  EXPECT_FALSE(check("ab\xe0\x80").truncated);  // no character begins so
}

TEST(Base64, IsThatOfRfc4648) {
  for (const auto& [text, expected] : {std::pair{"", ""},
                                       {"f", "Zg=="},
                                       {"fo", "Zm8="},
                                       {"foo", "Zm9v"},
                                       {"foob", "Zm9vYg=="},
                                       {"fooba", "Zm9vYmE="},
                                       {"foobar", "Zm9vYmFy"}}) {
    std::string room(base64_room(std::string_view(text).size()), '\0');
    char* const end = encode_base64(room.data(), std::as_bytes(std::span(std::string_view(text))));
    EXPECT_EQ(std::string(room.data(), end), expected);
  }
}

}  // namespace
}  // namespace weir::view
