// `toxiproxy-server`: weir serve under toxiproxy's name, with its flags and its configuration file.
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "api/serve.h"
#include "api/toxiproxy_routes.h"
#include "base/listen_address.h"
#include "cli/command.h"
#include "cli/go_flags.h"

namespace weir::cli {
namespace {

constexpr const char* usage =
    "Usage of toxiproxy-server:\n"
    "  -config string\n        JSON file containing proxies to create on startup\n"
    "  -host string\n        Host for toxiproxy's API to listen on (default \"localhost\")\n"
    "  -port string\n        Port for toxiproxy's API to listen on (default \"8474\")\n"
    "  -proxy-metrics\n        GET /metrics without a token (it is always there)\n"
    "  -runtime-metrics\n        the same\n"
    "  -seed int\n        Seed for randomizing toxics with\n"
    "  -version\n        Show the version and exit\n";

auto parse_seed(const std::string& text) -> std::optional<std::uint64_t> {
  std::int64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return static_cast<std::uint64_t>(seed);
}

// JSON lines on standard output, as toxiproxy writes them; LOG_LEVEL silences the lower ones.
auto log_choice() -> control::LogChoice {
  const char* level = std::getenv("LOG_LEVEL");
  const std::string_view wanted = level == nullptr ? "info" : level;
  control::LogChoice choice;
  choice.targets = std::vector{syslog::Target{.text = "stdout", .transport = syslog::Transport::standard_output}};
  choice.format = syslog::LineFormat::json;
  choice.level = wanted == "trace" || wanted == "debug"                        ? LogLevel::debug
                 : wanted == "warn"                                            ? LogLevel::warning
                 : wanted == "error" || wanted == "fatal" || wanted == "panic" ? LogLevel::error
                                                                               : LogLevel::info;
  return choice;
}

}  // namespace

auto run_toxiproxy_server(const std::vector<std::string>& words) -> int {
  const auto flags = parse_go_flags(words, {"host", "port", "config", "seed"},
                                    {"runtime-metrics", "proxy-metrics", "version", "h", "help"});
  const auto wrong = [](const std::string& why) {
    std::fprintf(stderr, "%s\n%s", why.c_str(), usage);
    return exit_usage;
  };
  if (!flags) return wrong(flags.error().message);
  if (!flags->rest.empty()) return wrong(fmt::format("unexpected argument: {}", flags->rest.front()));
  if (flags->has("h") || flags->has("help")) {
    std::fputs(usage, stderr);
    return exit_ok;
  }
  if (flags->has("version")) {
    fmt::print("toxiproxy-server version {}\n", api::ToxiproxyRoutes::version);
    return exit_ok;
  }
  api::ServeOptions options;
  const std::string host = flags->value("host", "localhost");
  const std::string address = (host == "0.0.0.0" || host == "::" ? ""
                               : host == "localhost"             ? "127.0.0.1"
                                                                 : host) +
                              ":" + flags->value("port", "8474");
  auto api = ListenAddress::parse(address);
  if (!api) return complain(fmt::format("-host {}: {}", host, api.error().message), exit_failure);
  options.api = *std::move(api);
  if (const std::string text = flags->value("seed", ""); !text.empty()) {
    options.seed = parse_seed(text);
    if (!options.seed) return wrong(fmt::format("invalid value \"{}\" for flag -seed: parse error", text));
  }
  options.toxiproxy_config = flags->value("config", "");
  options.compat_open = true;
  options.metrics_open = flags->has("proxy-metrics") || flags->has("runtime-metrics");
  options.drain = std::optional<Nanos>(Nanos{0});  // it ends at once, as toxiproxy does
  if (const char* token = std::getenv("WEIR_TOKEN")) options.token = token;
  options.version = version_text();
  options.log = log_choice();
  options.listening_text = "Starting Toxiproxy HTTP server on";
  options.on_listening = [](const std::string&) { return Result<void>(); };
  const auto served = api::serve(std::move(options));
  return served ? exit_ok : complain(served.error().message, exit_failure);
}

}  // namespace weir::cli
