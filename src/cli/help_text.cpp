#include "cli/help_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "cli/terminal_width.h"

namespace weir::cli {
namespace {

constexpr std::size_t name_column = 26;  // where the descriptions of options begin, at most

// `text` after `line`, broken at blanks; further lines begin with `indent` blanks.
auto wrapped(std::string line, std::string_view text, std::size_t indent, std::size_t width) -> std::string {
  std::string out;
  std::size_t column = display_width(line);
  bool first = true;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t blank = first ? 0 : 1;
    if (!first && column + blank + display_width(word) > width) {
      out += line + "\n";
      line = std::string(indent, ' ');
      column = indent;
    } else {
      line.append(blank, ' ');
      column += blank;
    }
    line += word;
    column += display_width(word);
    first = false;
  }
  return out + line + "\n";
}

auto wrap_line(const std::string& line, std::size_t width) -> std::string {
  if (display_width(line) <= width) return line + "\n";
  const std::size_t start = std::min(line.find_first_not_of(' '), line.size());
  std::size_t hang = start == 0 ? 0 : start + 4;
  std::size_t from = start;
  // The last column that leaves room for its text.
  for (std::size_t at = line.find("  ", start); at != std::string::npos; at = line.find("  ", at)) {
    at = std::min(line.find_first_not_of(' ', at), line.size());
    if (at > width * 2 / 3) break;
    hang = from = at;
  }
  return wrapped(line.substr(0, from), std::string_view(line).substr(from), hang, width);
}

auto names_of(const OptionText& option) -> std::string {
  std::string names;
  for (const auto& name : option.names) names += (names.empty() ? "" : ", ") + name;
  if (!option.positional && !option.type_name.empty()) names += " " + option.type_name;
  if (option.positional && option.repeatable) names += " ...";
  return names;
}

auto described(const OptionText& option) -> std::string {
  std::string text = option.description;
  if (!option.default_text.empty()) text += fmt::format(" (default: {})", option.default_text);
  if (option.required && !option.positional) text += " (required)";
  return text;
}

auto item(const std::string& names, const std::string& text, std::size_t column, std::size_t width) -> std::string {
  const std::string head = "  " + names;
  if (head.size() + 2 <= column) return wrapped(head + std::string(column - head.size(), ' '), text, column, width);
  return head + "\n" + wrapped(std::string(column, ' '), text, column, width);
}

// Items under one heading; nothing if there are none.
auto section(const std::string& heading, const std::vector<std::pair<std::string, std::string>>& items,
             std::size_t width) -> std::string {
  if (items.empty()) return "";
  std::size_t column = 0;
  for (const auto& [names, text] : items) {
    if (names.size() + 4 <= name_column) column = std::max(column, names.size() + 4);
  }
  if (column == 0) column = name_column;
  std::string out = "\n" + heading + ":\n";
  for (const auto& [names, text] : items) out += item(names, text, column, width);
  return out;
}

auto usage(const CommandText& command, const std::string& path) -> std::string {
  std::string text = "Usage: " + path;
  if (!command.options.empty()) text += " [OPTIONS]";
  for (const OptionText& option : command.options) {
    if (!option.positional) continue;
    const std::string name = names_of(option);
    text += option.required ? " " + name : " [" + name + "]";
  }
  if (!command.commands.empty()) text += " COMMAND";
  return text;
}

}  // namespace

auto wrap_lines(const std::string& text, std::size_t width) -> std::string {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += wrap_line(text.substr(at, end - at), width);
    at = end + 1;
  }
  return out;
}

auto help_width() -> std::size_t {
  constexpr std::size_t narrowest = 40;
  constexpr std::size_t widest = 100;
  return std::clamp(terminal_size().columns, narrowest, widest);
}

auto help_text(const CommandText& command, const std::string& path, std::size_t width) -> std::string {
  std::vector<std::pair<std::string, std::string>> arguments;
  std::vector<std::pair<std::string, std::string>> options;
  std::vector<std::pair<std::string, std::string>> commands;
  for (const OptionText& option : command.options) {
    (option.positional ? arguments : options).emplace_back(names_of(option), described(option));
  }
  for (const CommandText& each : command.commands) commands.emplace_back(each.name, each.description);
  std::string text = wrapped("", command.description, 0, width) + "\n" + wrapped("", usage(command, path), 4, width);
  text += section("Arguments", arguments, width) + section("Options", options, width) +
          section("Commands", commands, width);
  if (!command.footer.empty()) text += "\n" + wrap_lines(command.footer, width);
  return text;
}

}  // namespace weir::cli
