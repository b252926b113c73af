#include "cni/spec/request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <vector>

#include "cni/spec/version.h"

namespace weir::cni {
namespace {

// [a-zA-Z0-9][a-zA-Z0-9_.-]*, of container IDs and network names. Both become parts of paths.
auto is_identifier(std::string_view text) -> bool {
  bool first = true;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && (first || (c != '_' && c != '.' && c != '-'))) return false;
    first = false;
  }
  return !text.empty();
}

// Unicode's spaces as Go's unicode.IsSpace knows them, in UTF-8.
auto has_space(std::string_view text) -> bool {
  if (text.find_first_of(" \t\n\v\f\r") != std::string_view::npos) return true;
  for (const std::string_view space :
       {"\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
        "\xe3\x80\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85",
        "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a"}) {
    if (text.find(space) != std::string_view::npos) return true;
  }
  return false;
}

// Any that an environment has room for can be deleted: it may have been added by somebody who took it.
constexpr std::size_t most_container_id = 1024;

auto check_interface_name(std::string_view name) -> Result<void> {
  if (name.size() > 15) {
    return fail(ErrorCode::bad_environment, "interface name is too long",
                "interface name should be less than 16 characters");
  }
  if (name == "." || name == "..") return fail(ErrorCode::bad_environment, "interface name is . or ..");
  if (name.find_first_of("/:") != std::string_view::npos || has_space(name)) {
    return fail(ErrorCode::bad_environment, "interface name contains / or : or whitespace characters");
  }
  return {};
}

auto command_of(std::string_view word) -> std::optional<Command> {
  for (const auto command :
       {Command::add, Command::del, Command::check, Command::gc, Command::status, Command::version}) {
    if (word == name_of(command)) return command;
  }
  return std::nullopt;
}

auto variable(const char* name) -> std::string {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

auto name_of(Command command) -> std::string_view {
  switch (command) {
    case Command::add: return "ADD";
    case Command::del: return "DEL";
    case Command::check: return "CHECK";
    case Command::gc: return "GC";
    case Command::status: return "STATUS";
    case Command::version: return "VERSION";
  }
  return "";
}

auto Environment::of_process() -> Environment {
  const auto override = variable("CNI_NETNS_OVERRIDE");
  return {.command = variable("CNI_COMMAND"),
          .container_id = variable("CNI_CONTAINERID"),
          .netns = variable("CNI_NETNS"),
          .ifname = variable("CNI_IFNAME"),
          .args = variable("CNI_ARGS"),
          .path = variable("CNI_PATH"),
          .netns_override = override == "1" || override == "TRUE" || override == "true"};
}

auto check_environment(const Environment& environment) -> Result<Command> {
  const auto command = command_of(environment.command);
  const bool attachment =
      command && (*command == Command::add || *command == Command::del || *command == Command::check);
  // A variable that is there is judged before one that is missing is missed.
  if (attachment && !environment.container_id.empty() && !is_identifier(environment.container_id)) {
    return fail(ErrorCode::bad_environment, "invalid characters in containerID", environment.container_id);
  }
  if (command == Command::add && environment.container_id.size() > most_container_id) {
    return fail(ErrorCode::bad_environment, "containerID is too long",
                text({"containerID has ", std::to_string(environment.container_id.size()), " bytes, and may have ",
                      std::to_string(most_container_id)}));
  }
  if (attachment && !environment.ifname.empty()) {
    if (auto good = check_interface_name(environment.ifname); !good) return Failure(good.error());
  }
  std::string missing;
  const auto want = [&](bool wanted, const std::string& value, std::string_view name) {
    if (!wanted || !value.empty()) return;
    if (!missing.empty()) missing += ',';
    missing += name;
  };
  want(true, environment.command, "CNI_COMMAND");
  want(attachment, environment.container_id, "CNI_CONTAINERID");
  want(attachment && *command != Command::del, environment.netns, "CNI_NETNS");
  want(attachment, environment.ifname, "CNI_IFNAME");
  want(command && *command != Command::version, environment.path, "CNI_PATH");
  if (!missing.empty()) {
    return fail(ErrorCode::bad_environment, text({"required env variables [", missing, "] missing"}));
  }
  if (!command) return fail(ErrorCode::bad_environment, text({"unknown CNI_COMMAND: ", environment.command}));
  return *command;
}

namespace {

// The numbers of a version, of which one or two may be missing. Also of versions that we do not speak.
auto numbers_of(std::string_view version) -> Result<std::array<int, 3>> {
  static constexpr std::array<std::string_view, 3> parts{"major", "minor", "micro"};
  if (std::count(version.begin(), version.end(), '.') > 2) {
    return fail(ErrorCode::decoding, text({"invalid version ", in_quotes(version), ": too many parts"}));
  }
  std::array<int, 3> numbers{};
  std::string_view rest = version;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto end = i + 1 < parts.size() ? rest.find('.') : std::string_view::npos;
    const auto part = rest.substr(0, end);
    const auto [last, error] = std::from_chars(part.data(), part.data() + part.size(), numbers[i]);
    if (error != std::errc{} || last != part.data() + part.size()) {
      return fail(ErrorCode::decoding, text({"failed to convert ", parts[i], " version part ", in_quotes(part),
                                             ": strconv.Atoi: parsing ", in_quotes(part), ": invalid syntax"}));
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return numbers;
}

// CHECK came with 0.4.0, GC and STATUS with 1.1.0.
auto check_command(Command command, std::string_view version) -> Result<void> {
  const bool is_check = command == Command::check;
  if (!is_check && command != Command::gc && command != Command::status) return {};
  const auto spoken = numbers_of(version);
  if (!spoken) return Failure(spoken.error());
  if (*spoken < (is_check ? std::array<int, 3>{0, 4, 0} : std::array<int, 3>{1, 1, 0})) {
    return fail(ErrorCode::incompatible_version, text({"config version does not allow ", name_of(command)}));
  }
  if (*spoken > *numbers_of(spec_versions.back())) {
    return fail(ErrorCode::incompatible_version, text({"plugin version does not allow ", name_of(command)}));
  }
  return {};
}

auto check_version(Command command, const std::string& version) -> Result<void> {
  if (auto good = check_command(command, version); !good) return good;
  if (!is_supported(version)) {
    std::string all;
    for (const auto each : spec_versions) {
      if (!all.empty()) all += ' ';
      all += in_quotes(each);
    }
    return fail(ErrorCode::incompatible_version, "incompatible CNI versions",
                text({"config is ", in_quotes(version), ", plugin supports [", all, "]"}));
  }
  return {};
}

// Keys of every plugin's configuration (SPEC.md, "Section 1") that not every plugin of ours reads.
auto check_types(const Json& config) -> Result<void> {
  const Reader reader(config, "failed to load netconf: ");
  const auto type = reader.string("type");
  if (!type) return Failure(type.error());
  const auto previous = reader.object("prevResult");
  if (!previous) return Failure(previous.error());
  const auto capabilities = reader.inside("capabilities");
  if (!capabilities) return Failure(capabilities.error());
  for (const auto& each : capabilities->json().items()) {
    if (const auto said = capabilities->boolean(each.key()); !said) return Failure(said.error());
  }
  return {};
}

}  // namespace

auto parse_request(Command command, Environment environment, std::string input) -> Result<Request> {
  auto config = parse_json(input);
  if (!config) {
    return fail(ErrorCode::decoding, "error unmarshall network config: " + config.error().msg);
  }
  if (config->is_null()) *config = Json::object();  // as Go has it
  if (!config->is_object()) return fail(ErrorCode::decoding, "error unmarshall network config: it is no JSON object");
  const Reader reader(*config, "error unmarshall network config: ");
  const auto name = reader.string("name");
  const auto version = Reader(*config, "decoding version from network config: ").string("cniVersion");
  if (!name) return fail(ErrorCode::decoding, name.error().msg);
  if (!version) return fail(ErrorCode::decoding, version.error().msg);
  if (name->value_or("").empty()) return fail(ErrorCode::bad_config, "missing network name");
  if (!is_identifier(**name)) {
    return fail(ErrorCode::bad_config, "invalid characters found in network name", **name);
  }
  const std::string spoken = version->value_or("").empty() ? "0.1.0" : **version;
  if (auto good = check_version(command, spoken); !good) return Failure(good.error());
  if (auto good = check_types(*config); !good) return Failure(good.error());
  return Request{.command = command,
                 .environment = std::move(environment),
                 .input = std::move(input),
                 .config = std::move(*config),
                 .version = spoken,
                 .name = **name};
}

}  // namespace weir::cni
