#include "cni/spec/delegate.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "cni/spec/child.h"
#include "cni/spec/version.h"

namespace weir::cni {
namespace {

auto is_ourselves(const std::string& path) -> bool {
  struct stat theirs {};
  struct stat ours {};
  if (::stat(path.c_str(), &theirs) != 0 || ::stat("/proc/self/exe", &ours) != 0) return false;
  return theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

auto environment_for(Command command, const Environment& environment) -> std::vector<std::string> {
  std::vector<std::string> lines;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view line = *each;
    // CNI_NETNS goes as we took it: a DEL in the host's own namespace is one without a namespace.
    if (line.starts_with("CNI_COMMAND=") || line.starts_with("CNI_NETNS=")) continue;
    lines.emplace_back(line);
  }
  lines.push_back(text({"CNI_COMMAND=", name_of(command)}));
  lines.push_back(text({"CNI_NETNS=", environment.netns}));
  return lines;
}

auto error_of(const std::string& type, const Child::Outcome& outcome) -> Error {
  Error error;
  if (outcome.timed_out) {
    return {static_cast<unsigned>(ErrorCode::try_again), text({"IPAM plugin ", in_quotes(type), ": ", outcome.words()}),
            outcome.err};
  }
  if (outcome.out.empty()) {
    error.msg = outcome.err.empty() ? text({"netplugin failed with no error message: ", outcome.words()})
                                    : text({"netplugin failed: ", in_quotes(outcome.err)});
    return error;
  }
  const auto json = parse_json(outcome.out);
  const Json nothing = Json::object();
  const Reader reader(json ? *json : nothing, {});
  const auto msg = reader.string("msg");
  const auto details = reader.string("details");
  const auto code = reader.integer("code", 0, UINT32_MAX);
  if (!json || !json->is_object() || !msg || !details || !code) {
    error.msg = text({"netplugin failed but error parsing its diagnostic message ", in_quotes(outcome.out), ": ",
                      json ? "it is no CNI error" : json.error().msg});
    return error;
  }
  error.code = static_cast<unsigned>(code->value_or(error.code));
  error.msg = msg->value_or("");
  error.details = details->value_or("");
  return error;
}

}  // namespace

auto find_plugin(std::string_view type, std::string_view path) -> Result<std::string> {
  if (type.empty()) return fail("no plugin name provided");
  if (type.find('/') != std::string_view::npos) return fail(text({"invalid plugin name: ", type}));
  if (path.empty()) return fail("no paths provided");
  std::string folders;
  while (true) {
    const auto end = path.find(':');
    const auto folder = path.substr(0, end);
    if (!folder.empty()) {
      std::string file = text({folder, "/", type});
      struct stat about {};
      const bool is_path = file.find('\0') == std::string::npos;  // or its beginning would be what is found
      if (is_path && ::stat(file.c_str(), &about) == 0 && S_ISREG(about.st_mode)) return file;
      if (!folders.empty()) folders += ' ';
      folders += folder;
    }
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + 1);
  }
  return fail(text({"failed to find plugin ", in_quotes(type), " in path [", folders, "]"}));
}

auto Delegate::run(const Request& request, Command command, const std::string& type, int seconds) const
    -> Result<AddResult> {
  const auto file = find_plugin(type, request.environment.path);
  if (!file) return Failure(file.error());
  if (is_ourselves(*file)) {
    // By main.cpp's rule. Under any other name we would run ourselves, and that one itself, without end.
    if (type.find(builtin_->name) == std::string::npos) {
      return fail(text(
          {"IPAM plugin ", in_quotes(type), " (", *file, ") is the plugin that calls it, which gives no addresses"}));
    }
    if (command == request.command) return dispatch(*builtin_, request);
    Request changed = request;
    changed.command = command;
    return dispatch(*builtin_, changed);
  }
  auto child = Child::start(*file, {*file}, request.input, seconds, environment_for(command, request.environment));
  if (!child) return fail(text({"netplugin failed with no error message: ", child.error().msg}));
  const auto outcome = child->finish();
  (void)!::write(2, outcome.err.data(), outcome.err.size());
  if (!outcome.good()) return Failure(error_of(type, outcome));
  if (command != Command::add) return AddResult{};
  const auto json = parse_json(outcome.out);
  if (!json) {
    return fail(text({"failed to unmarshal raw result: ", json.error().msg, ": of the IPAM plugin ", in_quotes(type)}));
  }
  if (json->is_null()) return AddResult{};  // as Go reads it: a result without anything
  // Its own version says how to read it; without one it is the configuration's.
  const auto own = Reader(*json, "IPAM result: ").string("cniVersion");
  if (!own) return Failure(own.error());
  const std::string version = own->value_or("").empty() ? request.version : **own;
  if (!is_supported(version)) return fail(text({"unsupported CNI result version ", in_quotes(version)}));
  return parse_result(*json, version);
}

}  // namespace weir::cni
