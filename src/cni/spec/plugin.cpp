#include "cni/spec/plugin.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "cni/spec/netns.h"
#include "cni/spec/version.h"
#include "cni/spec/waits.h"

#ifndef WEIR_CNI_VERSION
#define WEIR_CNI_VERSION "unknown"
#endif

namespace weir::cni {
namespace {

constexpr std::size_t most_input = 16U << 20U;
// A pipe that poll(2) says can be written to takes as much at once (pipe(7), PIPE_BUF).
constexpr std::size_t most_at_once = 4096;

auto print_error(const Error& error, std::string_view version) -> std::string {
  Json json = Json::object();
  json["cniVersion"] = version;
  json["code"] = error.code;
  json["msg"] = error.msg;
  if (!error.details.empty()) json["details"] = error.details;
  return print_json(json, {"cniVersion", "code", "msg", "details"});
}

// What an error is to name that was found before the configuration was understood: its version if that much is clear.
auto version_in(std::string_view input) -> std::string {
  const auto json = parse_json(input);
  const auto* said = json ? member(*json, "cniVersion") : nullptr;
  const std::string version = said != nullptr && said->is_string() ? said->get<std::string>() : "";
  return is_supported(version) ? version : std::string(spec_versions.back());
}

auto print_versions() -> std::string {
  Json json = Json::object();
  json["cniVersion"] = spec_versions.back();
  json["supportedVersions"] = spec_versions;
  return print_json(json, {}, true) + "\n";
}

auto about(const Plugin& plugin) -> std::string {
  std::string all;
  for (const auto each : spec_versions) {
    if (!all.empty()) all += ", ";
    all += each;
  }
  return text(
      {"CNI ", plugin.name, " plugin weir v", WEIR_CNI_VERSION, "\nCNI protocol versions supported: ", all, "\n"});
}

// The reference finds out after it acted, and leaves what it did behind.
auto check_namespace(Request& request) -> Result<void> {
  auto& environment = request.environment;
  if (environment.netns_override || !is_own_netns(environment.netns)) return {};
  if (request.command == Command::add || request.command == Command::check) {
    return fail(ErrorCode::bad_namespace, "plugin's netns and netns from CNI_NETNS should not be the same");
  }
  environment.netns.clear();  // for DEL it is as if the namespace were gone
  return {};
}

auto answer(const Plugin& plugin, const Request& request) -> Result<std::string> {
  auto result = dispatch(plugin, request);
  if (!result) return Failure(result.error());
  if (request.command != Command::add) return std::string();
  auto printed = print_result(*result, request.version);
  // CHECK and DEL get it back beside the configuration, and have to be able to read both.
  if (printed && printed->size() + request.input.size() > most_input) {
    printed = fail(ErrorCode::bad_config,
                   "the configuration and its result are larger than 16 MiB, more than a CHECK or DEL would read: give "
                   "the network fewer routes or range sets");
  }
  // An attachment that the runtime never hears of must not stay.
  if (!printed) (void)plugin.del(request);
  return printed;
}

// False if `fd` is not ready for `events` until `end_ms`.
auto is_ready(int fd, short events, std::int64_t end_ms) -> bool {
  while (true) {
    const auto left = std::max<std::int64_t>(end_ms - clock_ms(), 0);
    pollfd watched{fd, events, 0};
    const int ready = ::poll(&watched, 1, static_cast<int>(left));
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;  // what is wrong, the next call says
    if (ready == 0) return false;
  }
}

auto read_stdin() -> Result<std::string> {
  std::string input;
  std::array<char, 8192> buffer{};
  const auto end = clock_ms() + std::int64_t{longest_input_s} * 1000;
  while (true) {
    if (!is_ready(0, POLLIN, end)) {
      return fail(ErrorCode::try_again,
                  text({"error reading from stdin: it has not ended after ", std::to_string(longest_input_s),
                        " s: close it when the configuration is written"}));
    }
    const auto n = ::read(0, buffer.data(), buffer.size());
    if (n == 0) return input;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrorCode::io, "error reading from stdin: " + errno_words(errno));
    input.append(buffer.data(), static_cast<std::size_t>(n));
    if (input.size() > most_input) return fail(ErrorCode::io, "error reading from stdin: more than 16 MiB");
  }
}

auto write_all(int fd, std::string_view rest) -> bool {
  const auto end = clock_ms() + std::int64_t{longest_input_s} * 1000;
  while (!rest.empty()) {
    if (!is_ready(fd, POLLOUT, end)) return false;
    const auto n = ::write(fd, rest.data(), std::min(rest.size(), most_at_once));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

auto dispatch(const Plugin& plugin, const Request& request) -> Result<AddResult> {
  const auto nothing = [](Result<void> done) -> Result<AddResult> {
    if (!done) return Failure(done.error());
    return AddResult{};
  };
  switch (request.command) {
    case Command::add: return plugin.add(request);
    case Command::del: return nothing(plugin.del(request));
    case Command::check: return nothing(plugin.check(request));
    case Command::gc: return nothing(plugin.gc(request));
    case Command::status: return nothing(plugin.status(request));
    case Command::version: return AddResult{};
  }
  return AddResult{};
}

auto call_plugin(const Plugin& plugin, Environment environment, Streams& streams) -> int {
  if (environment.command.empty()) {
    streams.err = about(plugin);
    return 0;
  }
  const auto fails = [&](const Error& error, std::string_view version) {
    (void)streams.write_output(print_error(error, version));
    return 1;
  };
  const auto newest = spec_versions.back();
  const auto command = check_environment(environment);
  if (!command) return fails(command.error(), newest);
  if (*command == Command::version) {
    return streams.write_output(print_versions()) ? 0 : 1;
  }
  auto input = streams.read_input();
  if (!input) return fails(input.error(), newest);
  auto request = parse_request(*command, std::move(environment), *input);
  if (!request) return fails(request.error(), version_in(*input));
  if (auto good = check_namespace(*request); !good) return fails(good.error(), request->version);
  auto printed = answer(plugin, *request);
  if (!printed) return fails(printed.error(), request->version);
  if (streams.write_output(*printed)) return 0;
  if (request->command == Command::add) (void)plugin.del(*request);
  return 1;
}

auto run_plugin(const Plugin& plugin) -> int {
  (void)std::signal(SIGPIPE, SIG_IGN);  // a child or a runtime that hangs up is an error, not our end
  Streams streams{
      .read_input = read_stdin, .write_output = [](std::string_view text) { return write_all(1, text); }, .err = {}};
  const int code = call_plugin(plugin, Environment::of_process(), streams);
  (void)write_all(2, streams.err);
  return code;
}

auto valid_attachments(const Request& request) -> Result<std::vector<Attachment>> {
  const auto wrong = [](std::string why) { return fail(ErrorCode::bad_config, std::move(why)); };
  const Json* list = nullptr;
  std::string_view key;
  for (const auto* spelling : {"cni.dev/valid-attachments", "cni.dev/attachments"}) {
    if (list != nullptr) break;
    list = member(request.config, spelling);
    key = spelling;
  }
  if (list == nullptr) {
    return wrong("GC needs cni.dev/valid-attachments: give the list of attachments to keep, [] for none");
  }
  if (!list->is_array()) return wrong(text({key, ": expected a list of attachments"}));
  std::vector<Attachment> attachments;
  for (const auto& each : *list) {
    const Reader reader(each, {}, std::string(key));
    const auto container = reader.string("containerID");
    const auto ifname = reader.string("ifname");
    if (!each.is_object() || !container || !ifname || !*container || !*ifname) {
      return wrong(text({key, ": every attachment needs the strings containerID and ifname"}));
    }
    attachments.push_back({**container, **ifname});
  }
  return attachments;
}

}  // namespace weir::cni
