// The command line as a tree of commands with their options. CLI11 does the work; its headers are seen by
// command_line.cpp and usage_error.cpp alone, because every file that sees them takes ten seconds to compile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
class Option;
}  // namespace CLI

namespace weir::cli {

// An option or an argument of a command. A name for it, copied at will; valid while its command line lives.
class Option {
 public:
  explicit Option(CLI::Option& option) : option_(&option) {}

  auto type_name(const std::string& name) const -> Option;  // of its value, in --help
  auto required() const -> Option;
  auto expected(int count) const -> Option;  // so many values; -1: one or more
  auto one_at_a_time() const -> Option;      // repeatable, and the word after its value is not taken for another
  [[nodiscard]] auto given() const -> bool;  // on the command line that was read; an empty value too
  auto default_str(const std::string& text) const -> Option;  // what --help shows
  auto default_as_it_is() const -> Option;  // --help shows what its variable held when this was called
  auto environment(const std::string& name) const -> Option;  // read when the option is not given
  // Both ends included; anything else is a usage error.
  auto range(int least, int most) const -> Option;
  auto range(unsigned least, unsigned most) const -> Option;
  auto range(std::uint64_t least, std::uint64_t most) const -> Option;

 private:
  friend void offer_choices(Option option, std::vector<std::string> choices);
  CLI::Option* option_;
};

// Declares what an option's value may be, for the completion; one that ends in '=' is completed further by hand.
// Parsing is the command's own.
void offer_choices(Option option, std::vector<std::string> choices);

// An option as --help knows it.
struct OptionText {
  std::vector<std::string> names;  // with their dashes; an argument's own name
  std::string type_name;
  std::string default_text;
  std::string description;
  std::vector<std::string> choices;
  bool positional = false;
  bool required = false;
  bool repeatable = false;
};
struct CommandText {
  std::string name;
  std::vector<std::string> aliases;  // that --help does not tell
  std::string description;
  std::string footer;
  std::vector<OptionText> options;
  std::vector<CommandText> commands;
};

// One command, as Option is one option. `names` are written "-o,--output"; a name without dashes is an argument. The
// variables outlive the command line and are written when it is read.
class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}

  auto add_option(const std::string& names, std::string& value, const std::string& description) -> Option;
  auto add_option(const std::string& names, std::vector<std::string>& values, const std::string& description) -> Option;
  auto add_option(const std::string& names, std::optional<int>& value, const std::string& description) -> Option;
  auto add_option(const std::string& names, std::optional<unsigned>& value, const std::string& description) -> Option;
  auto add_option(const std::string& names, std::optional<std::uint64_t>& value, const std::string& description)
      -> Option;
  auto add_flag(const std::string& names, bool& value, const std::string& description) -> Option;
  // --name is --name=BY_ITSELF; another value needs the '='.
  auto add_flag(const std::string& names, std::string& value, const std::string& by_itself,
                const std::string& description) -> Option;
  [[nodiscard]] auto option(const std::string& name) const -> Option;  // one that was added

  auto add_subcommand(const std::string& name, const std::string& description) -> Command;
  void require_subcommand();                  // one of them
  void hide();                                // from --help
  void also(std::vector<std::string> names);  // it goes by these names too
  void take_all_words();                      // whatever follows it is no error
  void footer(const std::string& text);
  void callback(std::function<void()> run);  // when it was chosen and read

  // Without what is hidden.
  [[nodiscard]] auto text() const -> CommandText;

 private:
  CLI::App* app_;
};

// The tree and its reading, in main's thread.
class CommandLine {
 public:
  CommandLine(const std::string& description, const std::string& name, const std::string& version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  auto operator=(const CommandLine&) -> CommandLine& = delete;

  [[nodiscard]] auto root() -> Command { return Command(*app_); }

  struct Ended {
    bool well = false;    // --help or --version was printed
    std::string message;  // what is wrong with the words, as usage_error() says it
  };
  // Runs the callback of the command that was chosen. Nothing: it ran.
  auto parse(int argc, const char* const* argv) -> std::optional<Ended>;

 private:
  void print_help() const;  // of the command that was asked

  std::unique_ptr<CLI::App> app_;
};

}  // namespace weir::cli
