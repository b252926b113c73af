// What is there for people at a terminal: text of their language, hints, colours of what went wrong, a choice of
// chunks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "view/json_string.h"
#include "view/scene.h"
#include "view/stream_hint.h"

namespace weir::view {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Utf8Text, IsShownAsItIsInAUtf8Locale) {
  Scene scene(text());
  scene.up(1, "Gr\u00fc\u00dfe \u4e16\u754c \U0001f600 100%\n");
  EXPECT_THAT(scene.printed(), HasSubstr("\n  Gr\u00fc\u00dfe \u4e16\u754c \U0001f600 100%25%0a\n"));
}

TEST(Utf8Text, IsEscapedInOthers) {
  Scene scene({.kind = ViewKind::text, .utf8 = false});
  scene.up(1, "Gr\u00fc\u00dfe");
  EXPECT_THAT(scene.printed(), HasSubstr("\n  Gr%c3%bc%c3%9fe\n"));
}

TEST(Utf8Text, EscapesWhatMovesATerminalAndWhatIsNoCharacter) {
  Scene scene(text());
  // C1's CSI, a right-to-left override, an overlong slash, a surrogate, half a character at the chunk's end.
  scene.up(1, "\u009b31m\u202eabc\xc0\xaf\xed\xa0\x80\u00e9\xe4\xb8");
  EXPECT_THAT(scene.printed(), HasSubstr("\n  %c2%9b31m%e2%80%aeabc%c0%af%ed%a0%80\u00e9%e4%b8\n"));
}

TEST(Utf8Text, IsWholeWhereverAPieceEnds) {
  for (std::size_t before = 3060; before < 3080; ++before) {
    Scene scene(text());
    const std::string line = std::string(before, 'x') + "\u4e16\U0001f600\u00e9";
    scene.up(1, line);
    EXPECT_THAT(scene.printed(), HasSubstr("\n  " + line + "\n")) << before;
  }
  Scene scene(text());
  scene.up(1, std::string(5000, '\x80'));
  EXPECT_THAT(scene.printed(), HasSubstr("%80%80%80\n"));
}

TEST(Utf8Text, IsInNamesToo) {
  Scene scene({.kind = ViewKind::text, .utf8 = true, .proxies = {"b\u00fccher\u202e", "b"}});
  scene.up(1, "x");
  EXPECT_THAT(scene.printed(), HasSubstr("b\u00fccher%e2%80%ae#1 "));
}

TEST(Hint, NamesTlsOnceASession) {
  Scene scene(text());
  const std::string hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9);
  scene.up(1, hello);
  scene.down(1, hello);
  const std::string first = scene.printed();
  EXPECT_THAT(first, HasSubstr("#1 looks like TLS: the bytes are encrypted\n"));
  EXPECT_EQ(first.find("looks like", first.find("looks like") + 1), std::string::npos);
  scene.up(2, hello);
  EXPECT_THAT(scene.printed(), HasSubstr("#2 looks like TLS"));
}

TEST(Hint, ComesAfterPlainTextToo) {
  Scene scene({.kind = ViewKind::hex});
  scene.chunk(1, Direction::upstream, "STARTTLS\r\n", 0);
  EXPECT_THAT(scene.printed(), Not(HasSubstr("looks like")));
  scene.chunk(1, Direction::upstream, "\x16\x03\x03\x01"sv, 10);
  EXPECT_THAT(scene.printed(), HasSubstr("looks like TLS"));
}

auto hint_of(std::string_view bytes, bool as_text = true) -> std::string_view {
  return stream_hint(std::as_bytes(std::span(bytes)), 0, as_text);
}

TEST(Hint, KnowsOtherProtocolsThatAreNoText) {
  EXPECT_THAT(hint_of("\0\0\0\x08\x04\xd2\x16\x2f"sv), HasSubstr("PostgreSQL"));
  EXPECT_THAT(hint_of("SSH-2.0-OpenSSH_9.2\r\n"), HasSubstr("SSH"));
  EXPECT_THAT(hint_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HasSubstr("HTTP/2"));
  EXPECT_THAT(hint_of("J\0\0\0\n8.0.36\0\x08\0\0\0abc\0\0\0"sv), HasSubstr("binary protocol"));
  EXPECT_EQ(hint_of("J\0\0\0\n8.0.36\0\x08\0\0\0abc\0\0\0"sv, false), "") << "--show dump is what it would say";
  EXPECT_EQ(hint_of("GET / HTTP/1.1\r\n"), "");
  EXPECT_EQ(hint_of("\x16"), "");
  EXPECT_EQ(hint_of(""), "");
}

TEST(Hint, IsNotInViewsForPrograms) {
  for (const ViewKind kind : {ViewKind::json, ViewKind::raw}) {
    Scene scene({.kind = kind});
    scene.up(1, "\x16\x03\x01");
    EXPECT_THAT(scene.printed(), Not(HasSubstr("looks like")));
  }
}

TEST(Color, OfWhatWentWrongIsRed) {
  Scene scene({.kind = ViewKind::text, .color = true});
  auto end = server_fin();
  scene.closed(1, end);
  EXPECT_THAT(scene.printed(), Not(HasSubstr("\x1b[1;31m")));
  for (const auto reason :
       {event::CloseReason::client_reset, event::CloseReason::server_reset, event::CloseReason::server_error,
        event::CloseReason::connect_refused, event::CloseReason::timeout, event::CloseReason::fault}) {
    end.cause.reason = reason;
    scene.closed(1, end);
    EXPECT_THAT(scene.printed(), HasSubstr("\x1b[1;31m")) << event::to_string(end.cause);
  }
  Scene plain({.kind = ViewKind::text, .color = false});
  plain.closed(1, end);
  EXPECT_THAT(plain.printed(), Not(HasSubstr("\x1b")));
}

TEST(Grep, ShowsTheChunksThatHoldTheBytes) {
  ViewOptions options = text();
  options.grep = "SEL\0"s;
  Scene scene(options);
  scene.opened(1);
  scene.up(1, "xxSEL\0xx"sv);
  scene.up(1, "SELxx");
  scene.down(1, "SE");
  const std::string printed = scene.printed();
  EXPECT_THAT(printed, HasSubstr("#1 opened"));
  EXPECT_THAT(printed, HasSubstr("xxSEL%00xx"));
  EXPECT_THAT(printed, Not(HasSubstr("SELxx")));
}

TEST(Count, EndsTheViewAfterSoManyChunksThatAreShown) {
  ViewOptions options = text();
  options.grep = "yes";
  options.chunks = 2;
  Scene scene(options);
  scene.up(1, "yes 1");
  scene.up(1, "no");
  EXPECT_TRUE(scene.view().flush());
  scene.up(1, "yes 2");
  scene.up(1, "yes 3");
  EXPECT_FALSE(scene.view().flush());
}

}  // namespace
}  // namespace weir::view
