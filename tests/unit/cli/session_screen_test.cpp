#include "cli/session_screen.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace weir::cli {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;
using Kind = Key::Kind;

auto row(const std::string& proxy, const std::string& number, std::uint64_t bytes, double age = 1) -> SessionRow {
  return {.proxy = proxy,
          .number = number,
          .phase = "relaying",
          .client = "127.0.0.1:40000",
          .upstream = "127.0.0.1:5432",
          .age_seconds = age,
          .sent = bytes,
          .answered = 0,
          .sending = static_cast<double>(bytes),
          .answering = 0.0,
          .faults = ""};
}

class SessionScreenTest : public testing::Test {
 protected:
  auto lines(std::size_t columns = 80, std::size_t rows = 24) -> std::vector<std::string> {
    return screen_.frame({.columns = columns, .rows = rows});
  }
  auto type(const std::string& text) -> SessionScreen::Wish {
    SessionScreen::Wish wish;
    for (const char c : text) wish = screen_.press({Kind::text, std::string(1, c)});
    return wish;
  }
  // The sessions' numbers, from the top.
  auto order() -> std::string {
    std::string numbers;
    for (const std::string& line : lines(200)) {
      if (!line.starts_with(" db") && !line.starts_with(">db")) continue;
      const auto begin = line.find_first_not_of(' ', 3);
      numbers += line.substr(begin, line.find(' ', begin) - begin) + " ";
    }
    return numbers;
  }
  auto selected() -> std::string {
    for (const std::string& line : lines(200)) {
      if (line.starts_with(">")) return line;
    }
    return "";
  }

  SessionScreen screen_{"http://localhost:8474", true};
};

TEST_F(SessionScreenTest, a_frame_has_all_rows_and_none_is_too_wide) {
  screen_.take({.rows = {row("db", "1", 10), row(std::string(90, 'n'), "2", 5), row("世界世界世界世界世界", "3", 5)}},
               0);
  for (const std::size_t columns : {1U, 2U, 20U, 40U, 79U, 80U, 200U}) {
    for (const std::size_t rows : {1U, 2U, 3U, 10U, 24U}) {
      for (const char* keys : {"", "?", "qf", "x"}) {
        type(keys);
        const auto frame = lines(columns, rows);
        EXPECT_THAT(frame, SizeIs(rows));
        for (const std::string& line : frame) EXPECT_LE(display_width(line), columns) << line;
        screen_.press({Kind::escape});
      }
    }
  }
}

TEST_F(SessionScreenTest, what_is_cut_ends_with_a_mark) {
  EXPECT_EQ(fit_columns("世界", 4), "世界");
  EXPECT_EQ(fit_columns("世界x", 4), "世>") << "a wide character is not split";
  EXPECT_EQ(fit_columns("abcd", 3), "ab>");
  EXPECT_EQ(fit_columns("abcd", 0), "");
}

TEST_F(SessionScreenTest, keys_sort_and_the_same_key_turns_the_order_around) {
  screen_.take({.rows = {row("db", "2", 30, 9), row("db", "10", 20, 1), row("db", "1", 10, 5)}}, 0);
  EXPECT_EQ(order(), "1 2 10 ");
  type("b");
  EXPECT_EQ(order(), "2 10 1 ");
  type("b");
  EXPECT_EQ(order(), "1 10 2 ");
  type("a");
  EXPECT_EQ(order(), "2 1 10 ");
  type("p");
  EXPECT_EQ(order(), "1 2 10 ");
}

TEST_F(SessionScreenTest, silence_is_the_time_since_bytes_moved) {
  screen_.take({.rows = {row("db", "1", 10), row("db", "2", 10)}}, 100);
  screen_.take({.rows = {row("db", "1", 10), row("db", "2", 11)}}, 107);
  type("i");
  EXPECT_EQ(order(), "1 2 ");
  EXPECT_THAT(selected(), HasSubstr(" 7s "));
}

TEST_F(SessionScreenTest, the_selection_follows_its_session) {
  screen_.take({.rows = {row("db", "1", 10), row("db", "2", 20), row("db", "3", 30)}}, 0);
  EXPECT_THAT(selected(), StartsWith(">db           1"));
  type("b");
  EXPECT_EQ(order(), "3 2 1 ");
  EXPECT_THAT(selected(), StartsWith(">db           1")) << "from the first row to the last";
  screen_.press({Kind::up});
  EXPECT_THAT(selected(), StartsWith(">db           2"));
  screen_.take({.rows = {row("db", "1", 10), row("db", "3", 30)}}, 1);
  EXPECT_THAT(selected(), StartsWith(">db           1")) << "its session is gone: the one that stands there now";
  screen_.take({}, 2);
  EXPECT_EQ(selected(), "");
  type("x");
  EXPECT_THAT(lines().back(), HasSubstr("no session"));
}

TEST_F(SessionScreenTest, the_selected_row_is_always_in_sight) {
  SessionRows many;
  for (int i = 1; i <= 50; ++i) many.rows.push_back(row("db", std::to_string(i), 1));
  screen_.take(many, 0);
  for (const Kind kind : {Kind::end, Kind::page_up, Kind::page_up, Kind::home, Kind::page_down, Kind::down}) {
    screen_.press({kind});
    const auto frame = lines(80, 10);
    EXPECT_EQ(std::ranges::count_if(frame, [](const auto& line) { return line.starts_with(">"); }), 1);
  }
}

TEST_F(SessionScreenTest, closing_asks_first_and_keeps_its_session) {
  screen_.take({.rows = {row("db", "1", 10), row("db", "2", 20)}}, 0);
  type("x");
  EXPECT_THAT(lines().back(), HasSubstr("close session 1 of db?"));
  screen_.take({.rows = {row("db", "2", 20)}}, 1);
  const auto wish = type("y");
  ASSERT_TRUE(std::holds_alternative<SessionScreen::Close>(wish));
  EXPECT_EQ(std::get<SessionScreen::Close>(wish).number, "1") << "not the one that took its row";
  EXPECT_TRUE(std::holds_alternative<std::monostate>(type("xn")));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(type("y"))) << "the question is over";
}

TEST_F(SessionScreenTest, a_fault_is_typed_mended_and_given_up) {
  screen_.take({.rows = {row("db", "1", 10)}}, 0);
  type("floss rate=0.1q");
  screen_.press({Kind::backspace});
  EXPECT_THAT(lines().back(), HasSubstr("fault for proxy db: loss rate=0.1_"));
  EXPECT_EQ(lines(24).back(), "fault for p>:  rate=0.1_") << "the end of what is typed stays in sight";
  const auto wish = screen_.press({Kind::enter});
  ASSERT_TRUE(std::holds_alternative<SessionScreen::AddFault>(wish));
  EXPECT_EQ(std::get<SessionScreen::AddFault>(wish).proxy, "db");
  EXPECT_EQ(std::get<SessionScreen::AddFault>(wish).words, "loss rate=0.1");
  type("f ");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(screen_.press({Kind::enter}))) << "nothing was typed";
  type("fq");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(screen_.press({Kind::escape})));
  EXPECT_TRUE(std::holds_alternative<SessionScreen::Quit>(type("q")));
}

TEST_F(SessionScreenTest, a_narrow_terminal_keeps_what_matters) {
  screen_.take({.rows = {row("db", "1", 10)}}, 0);
  const auto head = lines(40)[1];
  EXPECT_THAT(head, HasSubstr("PROXY"));
  EXPECT_THAT(head, HasSubstr("AGE"));
  EXPECT_THAT(head, testing::Not(HasSubstr("UPSTREAM")));
}

TEST_F(SessionScreenTest, what_is_missing_is_told) {
  screen_.take({.rows = {row("db", "1", 10)}, .left_out = 7, .partial = true}, 0);
  EXPECT_THAT(lines(200)[0], HasSubstr("8 sessions (7 not listed)"));
  EXPECT_THAT(lines(200)[0], HasSubstr("a worker did not answer"));
}

}  // namespace
}  // namespace weir::cli
