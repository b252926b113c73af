// The full-screen table of live sessions (weir top) without its terminal: it is told what the API answered and which
// keys were typed, and says what stands on the screen and what to ask of the API.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cli/terminal_keys.h"
#include "cli/terminal_width.h"

namespace weir::cli {

// A live session as the API tells of it. Its texts are safe to print.
struct SessionRow {
  std::string proxy;
  std::string number;
  std::string phase;
  std::string client;
  std::string upstream;  // empty: not chosen yet
  double age_seconds = 0;
  std::uint64_t sent = 0;             // bytes upstream
  std::uint64_t answered = 0;         // bytes downstream
  std::optional<double> sending{};    // bytes a second upstream; none: not known yet
  std::optional<double> answering{};  // and downstream
  std::string faults;
};
struct SessionRows {
  std::vector<SessionRow> rows;
  std::uint64_t left_out = 0;
  bool partial = false;
};

class SessionScreen {
 public:
  // `title` stands in the first row. Without keys nothing is selected, and the bottom row tells of none.
  SessionScreen(std::string title, bool has_keys) : title_(std::move(title)), has_keys_(has_keys) {}

  // What the sessions are at `now`, in seconds of any steady clock.
  void take(SessionRows sessions, double now);

  // What a key asks for beside another frame.
  struct Quit {};
  struct Close {
    std::string proxy;
    std::string number;
  };
  struct AddFault {
    std::string proxy;
    std::string words;  // as `weir fault add` takes them
  };
  using Wish = std::variant<std::monostate, Quit, Close, AddFault>;
  auto press(const Key& key) -> Wish;
  // What became of a wish; it stands in the bottom row until the next key.
  void say(std::string sentence) { said_ = std::move(sentence); }

  // Exactly size.rows rows, none wider than size.columns.
  [[nodiscard]] auto frame(const TerminalSize& size) -> std::vector<std::string>;

 private:
  enum class Order : std::uint8_t { proxy, bytes, rate, age, silence };
  enum class Mode : std::uint8_t { table, help, closing, fault };
  using Name = std::pair<std::string, std::string>;  // of the proxy, and the session's number

  struct Moved {
    std::uint64_t bytes = 0;
    double at = 0;
  };

  auto press_in_table(const Key& key) -> Wish;
  auto press_in_fault(const Key& key) -> Wish;
  void order_by(Order order);
  void sort();
  void select(std::size_t at);
  [[nodiscard]] auto selected_at() const -> std::size_t;
  // Since when no byte has moved, as far as this screen has seen it.
  [[nodiscard]] auto silence(const SessionRow& row) const -> double;
  [[nodiscard]] auto first_line() const -> std::string;
  [[nodiscard]] auto last_line(std::size_t width) const -> std::string;
  [[nodiscard]] auto table(const TerminalSize& size) -> std::vector<std::string>;

  std::string title_;
  bool has_keys_;
  SessionRows sessions_;
  double now_ = 0;
  std::map<Name, Moved> moved_;
  Order order_ = Order::proxy;
  bool reversed_ = false;
  Mode mode_ = Mode::table;
  Name selected_;
  std::size_t selected_before_ = 0;  // where it stood, for when its session is gone
  std::size_t first_shown_ = 0;
  std::size_t page_ = 1;
  Name target_;        // of the question in the bottom row
  std::string typed_;  // of the fault
  std::string said_;
};

}  // namespace weir::cli
