#include "cli/session_screen.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <iterator>

#include "base/duration.h"

namespace weir::cli {
namespace {

constexpr std::array<std::string_view, 12> help{
    "Keys:",
    "  up, down, k, j, PgUp, PgDn, Home, End   select a session",
    "  p  sort by proxy and session number",
    "  b  sort by bytes, both directions",
    "  r  sort by rate, both directions",
    "  a  sort by age",
    "  i  sort by silence (idle time)",
    "     the same key again turns the order around",
    "  x  close the selected session, after a question",
    "  f  add a fault to the session's proxy, as weir fault add",
    "  q, Ctrl-C  leave",
    "SILENT is the time since bytes moved, as far as this screen has seen."};

auto rate_text(const std::optional<double>& rate) -> std::string {
  return rate ? format_size(static_cast<std::uint64_t>(*rate)) + "/s" : "-";
}

// The silence is seen once a second: finer figures would say more than is known.
auto whole_seconds(double seconds) -> std::string {
  const auto whole = static_cast<std::int64_t>(seconds);
  return whole < 60 ? fmt::format("{}s", whole) : format_duration(std::chrono::seconds{whole});
}

auto rate_of(const SessionRow& row) -> double { return row.sending.value_or(0) + row.answering.value_or(0); }

// "12" before "100".
auto number_less(const std::string& a, const std::string& b) -> bool {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

enum Column : std::uint8_t {
  proxy,
  session,
  client,
  upstream,
  phase,
  age,
  silent,
  sent,
  answered,
  sending,
  answering,
  faults,
  columns
};
constexpr std::array<std::string_view, columns> heads{"PROXY",    "SESSION", "CLIENT",    "UPSTREAM",
                                                      "PHASE",    "AGE",     "SILENT",    "SENT",
                                                      "ANSWERED", "SENDING", "ANSWERING", "FAULTS"};
// What is left out first where the terminal is too narrow; the proxy and the session's number never are.
constexpr std::array<Column, 10> dispensable{upstream, phase, faults,   client,    silent,
                                             sending,  sent,  answered, answering, age};
// Numbers stand at the right of their column, so that their sizes can be compared at a glance.
constexpr auto at_right(std::size_t column) -> bool {
  return column == session || (column >= age && column <= answering);
}

}  // namespace

void SessionScreen::take(SessionRows sessions, double now) {
  std::map<Name, Moved> moved;
  for (const SessionRow& row : sessions.rows) {
    const Name name{row.proxy, row.number};
    const std::uint64_t bytes = row.sent + row.answered;
    const auto before = moved_.find(name);
    // mutant: screen-forgets-silence
    const bool same = before != moved_.end() && before->second.bytes == bytes;
    moved.emplace(name, Moved{.bytes = bytes, .at = same ? before->second.at : now});
  }
  moved_ = std::move(moved);
  sessions_ = std::move(sessions);
  now_ = now;
  sort();
}

auto SessionScreen::silence(const SessionRow& row) const -> double {
  const auto moved = moved_.find({row.proxy, row.number});
  return moved == moved_.end() ? 0 : now_ - moved->second.at;
}

void SessionScreen::sort() {
  const auto by_name = [](const SessionRow& a, const SessionRow& b) {
    return a.proxy != b.proxy ? a.proxy < b.proxy : number_less(a.number, b.number);
  };
  // Numbers begin with the largest, names with the first.
  const auto before = [&](const SessionRow& a, const SessionRow& b) {
    switch (order_) {
      case Order::proxy: break;
      case Order::bytes:
        if (a.sent + a.answered != b.sent + b.answered) return a.sent + a.answered > b.sent + b.answered;
        break;
      case Order::rate:
        if (rate_of(a) > rate_of(b)) return true;
        if (rate_of(a) < rate_of(b)) return false;
        break;
      case Order::age:
        if (a.age_seconds > b.age_seconds) return true;
        if (a.age_seconds < b.age_seconds) return false;
        break;
      case Order::silence:
        if (silence(a) > silence(b)) return true;
        if (silence(a) < silence(b)) return false;
        break;
    }
    return by_name(a, b);
  };
  std::ranges::sort(sessions_.rows,
                    [&](const SessionRow& a, const SessionRow& b) { return reversed_ ? before(b, a) : before(a, b); });
  if (has_keys_) select(selected_at());
}

void SessionScreen::order_by(Order order) {
  reversed_ = order == order_ && !reversed_;
  order_ = order;
  sort();
}

// By its name, as rows change their places; where its session is gone, what stands there now.
auto SessionScreen::selected_at() const -> std::size_t {
  const auto found = std::ranges::find_if(sessions_.rows, [this](const SessionRow& row) {
    return Name{row.proxy, row.number} == selected_;
  });
  if (found == sessions_.rows.end()) return selected_before_;  // mutant: screen-selection-stays-at-its-row
  return static_cast<std::size_t>(std::distance(sessions_.rows.begin(), found));
}

void SessionScreen::select(std::size_t at) {
  if (sessions_.rows.empty()) {
    selected_ = {};
    selected_before_ = 0;
    return;
  }
  selected_before_ = std::min(at, sessions_.rows.size() - 1);
  selected_ = {sessions_.rows[selected_before_].proxy, sessions_.rows[selected_before_].number};
}

auto SessionScreen::press(const Key& key) -> Wish {
  said_.clear();
  switch (mode_) {
    case Mode::table: return press_in_table(key);
    case Mode::help: mode_ = Mode::table; return {};
    case Mode::fault: return press_in_fault(key);
    case Mode::closing: break;
  }
  mode_ = Mode::table;
  // mutant: screen-closes-another-session, screen-closes-on-any-key
  if (key.kind == Key::Kind::text && key.text == "y") return Close{target_.first, target_.second};
  return {};
}

auto SessionScreen::press_in_table(const Key& key) -> Wish {
  using Kind = Key::Kind;
  const std::size_t at = selected_at();
  const auto is = [&key](char c) { return key.kind == Kind::text && key.text[0] == c; };
  if (key.kind == Kind::up || is('k')) select(at - std::min<std::size_t>(at, 1));
  if (key.kind == Kind::down || is('j')) select(at + 1);
  if (key.kind == Kind::page_up) select(at - std::min(at, page_));
  if (key.kind == Kind::page_down) select(at + page_);
  if (key.kind == Kind::home) select(0);
  if (key.kind == Kind::end && !sessions_.rows.empty()) select(sessions_.rows.size() - 1);
  if (is('p')) order_by(Order::proxy);
  if (is('b')) order_by(Order::bytes);
  if (is('r')) order_by(Order::rate);
  if (is('a')) order_by(Order::age);
  if (is('i')) order_by(Order::silence);
  if (is('?')) mode_ = Mode::help;
  if (is('q')) return Quit{};
  if (!is('x') && !is('f')) return {};
  if (sessions_.rows.empty()) {
    say("there is no session to select");
    return {};
  }
  // The question keeps its session, even if the selection goes on to another one because this one ends.
  target_ = selected_;
  typed_.clear();
  mode_ = is('x') ? Mode::closing : Mode::fault;
  return {};
}

auto SessionScreen::press_in_fault(const Key& key) -> Wish {
  if (key.kind == Key::Kind::text) typed_ += key.text;
  if (key.kind == Key::Kind::backspace) {
    while (!typed_.empty() && (static_cast<unsigned char>(typed_.back()) & 0xc0) == 0x80) typed_.pop_back();
    if (!typed_.empty()) typed_.pop_back();
  }
  if (key.kind != Key::Kind::enter && key.kind != Key::Kind::escape) return {};
  mode_ = Mode::table;
  if (key.kind == Key::Kind::escape || typed_.find_first_not_of(' ') == std::string::npos) return {};
  return AddFault{target_.first, typed_};
}

auto SessionScreen::first_line() const -> std::string {
  constexpr std::array<std::string_view, 5> orders{"proxy", "bytes", "rate", "age", "silence"};
  const auto more = sessions_.left_out;
  return fmt::format(
      "{} session{}{}{}, by {}{}{}", sessions_.rows.size() + more, sessions_.rows.size() + more == 1 ? "" : "s",
      more > 0 ? fmt::format(" ({} not listed)", more) : "",
      sessions_.partial ? " (a worker did not answer in time: its sessions are missing)" : "",
      orders.at(static_cast<std::size_t>(order_)), reversed_ ? ", reversed" : "", title_.empty() ? "" : " - " + title_);
}

auto SessionScreen::last_line(std::size_t width) const -> std::string {
  if (mode_ == Mode::closing) {
    return fmt::format("close session {} of {}? y closes it, any other key keeps it", target_.second, target_.first);
  }
  if (mode_ == Mode::fault) {
    // Half the row is for what is typed, and its end stays in sight.
    const std::string head = fit_columns("fault for proxy " + target_.first, width / 2) + ": ";
    const std::string line = typed_ + "_";
    std::size_t begin = 0;
    while (begin < line.size() && display_width(head + line.substr(begin)) > width) ++begin;
    while (begin < line.size() && (static_cast<unsigned char>(line[begin]) & 0xc0) == 0x80) ++begin;
    return head + line.substr(begin);
  }
  if (!said_.empty()) return said_;
  if (!has_keys_) return "";
  if (mode_ == Mode::help) return "any key goes back";
  constexpr std::string_view whole = "sort: p b r a i   select: j k   x close   f fault   ? help   q quit";
  return std::string(width >= whole.size() ? whole : "? help  x close  f fault  q quit");
}

auto SessionScreen::table(const TerminalSize& size) -> std::vector<std::string> {
  std::vector<std::string> lines;
  page_ = std::max<std::size_t>(size.rows, 4) - 3;
  const std::size_t count = sessions_.rows.size();
  const std::size_t at = has_keys_ ? selected_at() : 0;
  first_shown_ = std::min(first_shown_, count - std::min(count, page_));
  first_shown_ = std::min(first_shown_, at);
  if (at >= first_shown_ + page_) first_shown_ = at + 1 - page_;
  const std::size_t end = std::min(count, first_shown_ + page_);

  std::vector<std::array<std::string, columns>> cells;
  cells.emplace_back();
  std::ranges::copy(heads, cells.front().begin());
  for (std::size_t i = first_shown_; i < end; ++i) {
    const SessionRow& row = sessions_.rows[i];
    cells.push_back({row.proxy, row.number, row.client, row.upstream.empty() ? "-" : row.upstream, row.phase,
                     whole_seconds(row.age_seconds), whole_seconds(silence(row)), format_size(row.sent),
                     format_size(row.answered), rate_text(row.sending), rate_text(row.answering), row.faults});
  }
  std::array<std::size_t, columns> widths{};
  for (const auto& row : cells) {
    for (std::size_t i = 0; i < columns; ++i) widths.at(i) = std::max(widths.at(i), display_width(row.at(i)));
  }
  std::array<bool, columns> shown{};
  shown.fill(true);
  const auto needed = [&] {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < columns; ++i) sum += shown.at(i) ? widths.at(i) + 2 : 0;
    return sum;
  };
  for (const Column column : dispensable) {
    // One stands in front of each row, for the mark of the selected one; two are too many behind the last column.
    if (needed() <= size.columns) break;
    shown.at(column) = false;
  }
  for (std::size_t line = 0; line < cells.size(); ++line) {
    std::string text = has_keys_ && line > 0 && first_shown_ + line - 1 == at ? ">" : " ";
    for (std::size_t i = 0; i < columns; ++i) {
      if (!shown.at(i)) continue;
      const std::string& cell = cells[line].at(i);
      const std::string blanks(widths.at(i) - display_width(cell), ' ');
      text += at_right(i) ? blanks + cell : cell + blanks;
      text += "  ";
    }
    text.erase(text.find_last_not_of(' ') + 1);
    lines.push_back(text);
  }
  if (count == 0) lines.emplace_back(" no session is open");
  return lines;
}

auto SessionScreen::frame(const TerminalSize& size) -> std::vector<std::string> {
  std::vector<std::string> lines;
  if (mode_ == Mode::help) {
    lines.assign(help.begin(), help.end());
  } else {
    lines = table(size);
    lines.insert(lines.begin(), first_line());
  }
  lines.resize(size.rows);
  if (!lines.empty()) lines.back() = last_line(size.columns);
  for (std::string& line : lines) line = fit_columns(line, size.columns);
  return lines;
}

}  // namespace weir::cli
