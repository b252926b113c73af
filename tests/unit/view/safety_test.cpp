// No control character of a peer, or of a name a peer chose, reaches the output in any view but raw.
#include <gtest/gtest.h>

#include "view/json_string.h"
#include "view/scene.h"

namespace weir::view {
namespace {

auto all_bytes() -> std::string {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  return bytes;
}

auto without(std::string_view text, std::string_view what) -> std::string {
  std::string rest;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what)) {
    rest += text.substr(0, at);
    text.remove_prefix(at + what.size());
  }
  return rest.append(text);
}

// The colours this room uses, and no other escape sequence.
auto without_our_colors(std::string text) -> std::string {
  for (const auto* ours : {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[36m"})
    text = without(text, ours);
  return text;
}

// Printable ASCII and newlines only.
void expect_safe(const std::string& text) {
  for (const char c : text) {
    ASSERT_TRUE(c == '\n' || (c >= 0x20 && c <= 0x7e)) << "byte " << static_cast<int>(static_cast<unsigned char>(c));
  }
}

// Everything a peer can have a hand in holds every byte value, in one order and the other, so that each
// stands beside each kind of neighbour.
void say_everything(Scene& scene) {
  const std::string bytes = all_bytes();
  const std::string back(bytes.rbegin(), bytes.rend());
  scene.opened(1, unix_socket(bytes));
  for (int shift = 0; shift < 9; ++shift) {
    scene.up(1, std::string(static_cast<std::size_t>(shift), 'x') + bytes);
    scene.down(1, std::string(static_cast<std::size_t>(shift), '\x1b') + back);
  }
  for (int i = 0; i < 256; ++i) scene.up(1, std::string(1, static_cast<char>(i)));
  scene.half_closed(1, Direction::upstream);
  auto end = server_fin();
  end.detail = bytes;
  end.client = unix_socket(back);
  end.upstream = unix_socket(bytes);
  scene.closed(1, end);
  end.upstream.reset();
  scene.closed(2, end);
  scene.gap({.chunks = 1, .bytes = 1, .events = 1});
}

TEST(Safety, OnlyPrintableAsciiComesOutInAPlainLocale) {
  for (const ViewKind kind : {ViewKind::text, ViewKind::hex, ViewKind::dump, ViewKind::json}) {
    for (const bool color : {false, true}) {
      SCOPED_TRACE(to_string(kind));
      Scene scene({.kind = kind, .color = color, .utf8 = false, .proxies = {all_bytes(), "b"}});
      say_everything(scene);
      const std::string printed = scene.printed();
      EXPECT_GT(printed.size(), 10'000u);
      expect_safe(color ? without_our_colors(printed) : printed);
    }
  }
}

TEST(Safety, OnlyOurArrowsAreAddedInAUtf8Locale) {
  for (const ViewKind kind : {ViewKind::text, ViewKind::hex, ViewKind::dump, ViewKind::json}) {
    SCOPED_TRACE(to_string(kind));
    Scene scene({.kind = kind, .utf8 = true, .proxies = {all_bytes(), "b"}});
    say_everything(scene);
    // The payload is not valid UTF-8, so JSON shows it as base64, but for the chunks of one ASCII byte.
    expect_safe(without(without(scene.printed(), "→"), "←"));
  }
}

TEST(Safety, JsonTextHoldsNoControlCharacterWhereverItStands) {
  Scene scene({.kind = ViewKind::json, .utf8 = true});
  for (int c = 0; c < 128; ++c) {
    for (std::size_t before = 0; before < 9; ++before) {
      scene.up(1, std::string(before, 'x') + static_cast<char>(c) + "yyyyyyyy");
    }
  }
  const std::string printed = scene.printed();
  EXPECT_EQ(printed.find("base64"), std::string::npos);
  expect_safe(printed);
}

TEST(Safety, JsonTextHoldsNoControlOrFormatCharacterEither) {
  Scene scene({.kind = ViewKind::json, .utf8 = true});

  // C1 control, soft hyphen, zero width space, right-to-left override, line separator, isolate, byte
  // order mark, a tag.
  scene.up(1, "\u0085\u009b31m\u00ad\u200b\u202e\u2028\u2066\ufeff\U000e0041 fine: \u00e9\u4e16\U0001f600");

  const std::string printed = scene.printed();
  EXPECT_NE(printed.find(R"("text":"\u0085\u009b31m\u00ad\u200b\u202e\u2028\u2066\ufeff\udb40\udc41 fine: é世😀"})"),
            std::string::npos)
      << printed;
}

auto utf8_of(std::uint32_t code) -> std::string {
  const auto tail = [code](unsigned shift) { return static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xc0 | code >> 6), tail(0)};
  if (code < 0x10000) return {static_cast<char>(0xe0 | code >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
}

TEST(Safety, EveryCharacterIsSafeInJson) {
  // All of the pages that hold control characters and what lies about them, and a sample of the rest.
  const auto next = [](std::uint32_t code) {
    return code < 0x3000 || code % 0x10000 >= 0xfe00 ? code + 1 : code + 251;
  };
  for (std::uint32_t code = 0; code <= 0x10ffff; code = next(code)) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const std::string utf8 = utf8_of(code);
    const Bytes bytes = std::as_bytes(std::span(utf8));
    ASSERT_EQ(check_utf8(bytes).valid, utf8.size()) << code;
    std::array<char, json_room(4)> room{};
    const auto encoded = [&](bool ascii_only) {
      return std::string(room.data(), encode_json(room.data(), bytes, ascii_only));
    };
    for (const char c : encoded(true)) ASSERT_TRUE(c >= 0x20 && c <= 0x7e) << code;
    const std::string shown = encoded(false);
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e);
    const bool escaped = shown.front() == '\\';
    ASSERT_TRUE(escaped || (shown == utf8 && !control)) << code;
  }
}

}  // namespace
}  // namespace weir::view
