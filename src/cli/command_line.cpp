#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <limits>
#include <map>
#include <utility>

#include "cli/help_text.h"
#include "cli/usage_error.h"

namespace weir::cli {
namespace {

// CLI11 has no place for choices that it should neither check nor print in --help. Filled while the
// command tree is built, by main's thread.
auto offered() -> std::map<const CLI::Option*, std::vector<std::string>>& {
  static std::map<const CLI::Option*, std::vector<std::string>> choices;
  return choices;
}

auto text_of(const CLI::Option& option) -> OptionText {
  OptionText text;
  for (const auto& name : option.get_snames()) text.names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) text.names.push_back("--" + name);
  text.positional = text.names.empty();
  if (text.positional) text.names.push_back(option.get_name(true));
  const bool flag = option.get_expected_max() == 0;
  const std::string type = option.get_type_name();
  if (!flag && !text.positional) text.type_name = type.substr(0, type.find(':'));
  text.default_text = option.get_default_str();
  text.description = option.get_description();
  if (const auto found = offered().find(&option); found != offered().end()) text.choices = found->second;
  text.required = option.get_required();
  text.repeatable = option.get_expected_max() > 1;
  return text;
}

}  // namespace

auto Option::type_name(const std::string& name) const -> Option {
  option_->type_name(name);
  return *this;
}
auto Option::required() const -> Option {
  option_->required();
  return *this;
}
auto Option::expected(int count) const -> Option {
  option_->expected(count);
  return *this;
}
auto Option::one_at_a_time() const -> Option {
  option_->allow_extra_args(false);
  return *this;
}
auto Option::given() const -> bool { return option_->count() > 0; }
auto Option::default_str(const std::string& text) const -> Option {
  option_->default_str(text);
  return *this;
}
auto Option::default_as_it_is() const -> Option {
  option_->capture_default_str();
  return *this;
}
auto Option::environment(const std::string& name) const -> Option {
  option_->envname(name);
  return *this;
}
namespace {

// CLI11's own says "Value x not in range 1 to 18446744073709551615".
template <class Number>
auto whole_number(Number least, Number most) {
  return [least, most](const std::string& text) -> std::string {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size() && value >= least && value <= most) return "";
    if (most == std::numeric_limits<Number>::max()) {
      return fmt::format("\"{}\" is not a whole number of at least {}", text, least);
    }
    return fmt::format("\"{}\" is not a whole number from {} to {}", text, least, most);
  };
}

}  // namespace

auto Option::range(int least, int most) const -> Option {
  option_->check(whole_number(least, most));
  return *this;
}
auto Option::range(unsigned least, unsigned most) const -> Option {
  option_->check(whole_number(least, most));
  return *this;
}
auto Option::range(std::uint64_t least, std::uint64_t most) const -> Option {
  option_->check(whole_number(least, most));
  return *this;
}
void offer_choices(Option option, std::vector<std::string> choices) { offered()[option.option_] = std::move(choices); }

auto Command::add_option(const std::string& names, std::string& value, const std::string& description) -> Option {
  return Option(*app_->add_option(names, value, description));
}
auto Command::add_option(const std::string& names, std::vector<std::string>& values, const std::string& description)
    -> Option {
  return Option(*app_->add_option(names, values, description));
}
auto Command::add_option(const std::string& names, std::optional<int>& value, const std::string& description)
    -> Option {
  return Option(*app_->add_option(names, value, description));
}
auto Command::add_option(const std::string& names, std::optional<unsigned>& value, const std::string& description)
    -> Option {
  return Option(*app_->add_option(names, value, description));
}
auto Command::add_option(const std::string& names, std::optional<std::uint64_t>& value, const std::string& description)
    -> Option {
  return Option(*app_->add_option(names, value, description));
}
auto Command::add_flag(const std::string& names, bool& value, const std::string& description) -> Option {
  return Option(*app_->add_flag(names, value, description));
}
auto Command::add_flag(const std::string& names, std::string& value, const std::string& by_itself,
                       const std::string& description) -> Option {
  return Option(*app_->add_flag(fmt::format("{}{{{}}}", names, by_itself), value, description)
                     ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast));
}
auto Command::option(const std::string& name) const -> Option { return Option(*app_->get_option(name)); }

auto Command::add_subcommand(const std::string& name, const std::string& description) -> Command {
  CLI::App* command = app_->add_subcommand(name, description);
  command->footer("");  // CLI11 gives it its parent's
  return Command(*command);
}
void Command::require_subcommand() { app_->require_subcommand(1); }
void Command::hide() { app_->group(""); }
void Command::also(std::vector<std::string> names) {
  for (std::string& name : names) app_->alias(std::move(name));
}
void Command::take_all_words() { app_->prefix_command(); }
void Command::footer(const std::string& text) { app_->footer(text); }
void Command::callback(std::function<void()> run) { app_->callback(std::move(run)); }

auto Command::text() const -> CommandText {
  CommandText text{.name = app_->get_name(),
                   .aliases = app_->get_aliases(),
                   .description = app_->get_description(),
                   .footer = app_->get_footer(),
                   .options = {},
                   .commands = {}};
  for (const CLI::Option* option : std::as_const(*app_).get_options()) {
    if (!option->get_group().empty()) text.options.push_back(text_of(*option));
  }
  for (CLI::App* command : app_->get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); })) {
    text.commands.push_back(Command(*command).text());
  }
  return text;
}

CommandLine::CommandLine(const std::string& description, const std::string& name, const std::string& version)
    : app_(std::make_unique<CLI::App>(description, name)) {
  app_->set_version_flag("-V,--version", version);
  app_->set_help_flag("-h,--help", "Print this help");
}

CommandLine::~CommandLine() = default;

void CommandLine::print_help() const {
  CLI::App* at = app_.get();
  std::string path = at->get_name();
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().back();
    path += " " + at->get_name();
  }
  std::fputs(help_text(Command(*at).text(), path, help_width()).c_str(), stdout);
}

auto CommandLine::parse(int argc, const char* const* argv) -> std::optional<Ended> {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return Ended{.well = false, .message = usage_error(*app_, error)};
    if (dynamic_cast<const CLI::CallForHelp*>(&error) != nullptr) {
      print_help();
    } else {
      std::puts(error.what());  // what --version asks for
    }
    return Ended{.well = true, .message = ""};
  }
  return std::nullopt;
}

}  // namespace weir::cli
