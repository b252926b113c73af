// `toxiproxy-cli`: toxiproxy's client under its own name, with its words and its outputs.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "api/toxiproxy_routes.h"
#include "cli/api_command.h"
#include "cli/go_flags.h"
#include "http/percent.h"

namespace weir::cli {
namespace {

using Words = std::vector<std::string>;

auto fail(const std::string& why) -> int {
  std::fprintf(stderr, "%s\n", why.c_str());
  return exit_failure;
}

constexpr const char* usage =
    "Usage: toxiproxy-cli [--host URL] COMMAND\n"
    "  list                                            all proxies (l, li, ls)\n"
    "  inspect PROXY                                   one proxy with its toxics (i, ins)\n"
    "  create -l ADDRESS -u ADDRESS PROXY              a new proxy (c, new)\n"
    "  toggle PROXY                                    enable it, or disable it (tog)\n"
    "  delete PROXY                                    (d)\n"
    "  toxic add -t TYPE [-n NAME] [--tox F] [-a K=V]... [-u|-d] PROXY       (t a)\n"
    "  toxic update -n NAME [--tox F] [-a K=V]... PROXY                      (t u)\n"
    "  toxic remove -n NAME PROXY                                            (t r, t d)\n"
    "The URL is also taken from TOXIPROXY_URL; it is http://localhost:8474 otherwise.\n";

class Client {
 public:
  explicit Client(api::Client api) : api_(std::move(api)) {}
  // Prints what went wrong; empty then.
  auto ask(const std::string& method, const std::string& path, const Json& body = {}) const -> std::optional<Json> {
    const auto text = body_text(body);
    if (!text) {
      (void)fail(text.error().message);
      return std::nullopt;
    }
    const auto response = api_.request(method, path, *text);
    if (!response) {
      (void)fail(response.error().message);
      return std::nullopt;
    }
    const Json answer = response->body.empty() ? Json::object() : Json::parse(response->body, nullptr, false);
    if (response->status < 300 && !answer.is_discarded()) return answer;
    const bool told = answer.is_object() && answer.contains("error");
    (void)fail(told ? fmt::format("HTTP {}: {}", response->status, bare(answer.at("error")))
                    : fmt::format("HTTP {}", response->status));
    return std::nullopt;
  }

 private:
  api::Client api_;
};

auto proxy_path(const std::string& name) -> std::string { return "/proxies/" + http::percent_encode(name); }

auto is_one_of(const std::string& word, std::initializer_list<const char*> names) -> bool {
  return std::find(names.begin(), names.end(), word) != names.end();
}

// On a terminal a person looks on: columns, colour and what could be done next. Scripts get what toxiproxy-cli
// gives them.
auto on_terminal() -> bool { return ::isatty(STDOUT_FILENO) == 1; }

auto coloured(const std::string& text, const char* colour) -> std::string {
  return std::getenv("NO_COLOR") != nullptr ? text : fmt::format("\x1b[{}m{}\x1b[0m", colour, text);
}
constexpr const char* green = "32";
constexpr const char* red = "31";
constexpr const char* blue = "34";

void show_list(const Json& all) {
  if (all.empty()) {
    fmt::print("{}\n\nHint: make one with `toxiproxy-cli create -l HOST:PORT -u HOST:PORT NAME`\n",
               coloured("no proxies", red));
    return;
  }
  constexpr std::array<const char*, 5> head{"Name", "Listen", "Upstream", "Enabled", "Toxics"};
  std::vector<std::array<std::string, 5>> rows;
  std::array<std::size_t, 5> widths{};
  for (std::size_t i = 0; i < head.size(); ++i) widths[i] = std::strlen(head[i]);
  for (const auto& [name, proxy] : all.items()) {
    rows.push_back({bare(proxy.at("name")), bare(proxy.at("listen")), bare(proxy.at("upstream")),
                    proxy.at("enabled").get<bool>() ? "enabled" : "disabled",
                    std::to_string(proxy.at("toxics").size())});
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], rows.back()[i].size());
  }
  std::string line;
  for (std::size_t i = 0; i < head.size(); ++i) line += fmt::format("{:<{}}  ", head[i], widths[i]);
  fmt::print("{}\n{}\n", line, std::string(line.size() - 2, '='));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto cell = fmt::format("{:<{}}  ", row[i], widths[i]);
      const bool tells_state = i == 0 || i == 3;
      fmt::print("{}", tells_state ? coloured(cell, row[3] == "enabled" ? green : red) : cell);
    }
    fmt::print("\n");
  }
  fmt::print("\nHint: see a proxy's toxics with `toxiproxy-cli inspect NAME`\n");
}

void show_inspected(const Json& proxy) {
  const bool enabled = proxy.at("enabled").get<bool>();
  fmt::print("Name: {}   Listen: {}   Upstream: {}\n", coloured(bare(proxy.at("name")), enabled ? green : red),
             coloured(bare(proxy.at("listen")), blue), coloured(bare(proxy.at("upstream")), blue));
  if (!enabled) fmt::print("{}\n", coloured("disabled", red));
  if (proxy.at("toxics").empty()) {
    fmt::print("{}\n\nHint: add one with `toxiproxy-cli toxic add -t TYPE -a KEY=VALUE {}`\n",
               coloured("no toxics", red), bare(proxy.at("name")));
    return;
  }
  for (const char* stream : {"upstream", "downstream"}) {
    fmt::print("\n{} toxics:\n", stream);
    bool any = false;
    for (const auto& toxic : proxy.at("toxics")) {
      if (bare(toxic.at("stream")) != stream) continue;
      any = true;
      std::string attributes;
      for (const auto& [key, value] : toxic.at("attributes").items())
        attributes += fmt::format(" {}={}", key, bare(value));
      fmt::print("  {}  type={}  toxicity={:.2f} {}\n", coloured(bare(toxic.at("name")), green), bare(toxic.at("type")),
                 toxic.at("toxicity").get<double>(), attributes);
    }
    if (!any) fmt::print("  none\n");
  }
}

auto list(const Client& client) -> int {
  const auto all = client.ask("GET", "/proxies");
  if (!all) return exit_failure;
  if (on_terminal()) {
    show_list(*all);
    return exit_ok;
  }
  for (const auto& [name, proxy] : all->items()) {
    fmt::print("{}\t{}\t{}\t{}\t{}\n", bare(proxy.at("name")), bare(proxy.at("listen")), bare(proxy.at("upstream")),
               bare(proxy.at("enabled")), proxy.at("toxics").size());
  }
  return exit_ok;
}

auto inspect(const Client& client, const std::string& name) -> int {
  const auto proxy = client.ask("GET", proxy_path(name));
  if (!proxy) return exit_failure;
  if (on_terminal()) {
    show_inspected(*proxy);
    return exit_ok;
  }
  for (const auto& toxic : proxy->at("toxics")) {
    std::string attributes;
    for (const auto& [key, value] : toxic.at("attributes").items())
      attributes += fmt::format("\t{}={}", key, bare(value));
    fmt::print("{}\ttype={}\tstream={}\ttoxicity={:.2f}\tattributes=[{}\t]\n", bare(toxic.at("name")),
               bare(toxic.at("type")), bare(toxic.at("stream")), toxic.at("toxicity").get<double>(), attributes);
  }
  return exit_ok;
}

auto toggle(const Client& client, const std::string& name) -> int {
  const auto proxy = client.ask("GET", proxy_path(name));
  if (!proxy) return exit_failure;
  const bool enable = !proxy->at("enabled").get<bool>();
  if (!client.ask("PATCH", proxy_path(name), {{"enabled", enable}})) return exit_failure;
  fmt::print("Proxy {} is now {}\n", name, enable ? "enabled" : "disabled");
  return exit_ok;
}

// -a may stand there more than once, which flags alone cannot say: they are taken out first.
struct ToxicFlags {
  GoFlags flags;
  Json attributes = Json::object();
};

auto parse_toxic_flags(const Words& words) -> Result<ToxicFlags> {
  ToxicFlags out;
  Words others;
  for (std::size_t at = 0; at < words.size(); ++at) {
    const auto& word = words[at];
    const auto assigned = word.find('=');
    if (!is_one_of(word.substr(0, assigned), {"-a", "--a", "-attribute", "--attribute", "-attr", "--attr"})) {
      others.push_back(word);
      continue;
    }
    if (assigned == std::string::npos && at + 1 == words.size()) {
      return failure(fmt::format("flag needs an argument: {}", word));
    }
    const std::string pair = assigned == std::string::npos ? words[++at] : word.substr(assigned + 1);
    const auto equals = pair.find('=');
    std::int64_t number = 0;
    const char* begin = pair.data() + (equals == std::string::npos ? 0 : equals + 1);
    const auto [end, error] = std::from_chars(begin, pair.data() + pair.size(), number);
    if (equals == std::string::npos || equals == 0 || error != std::errc{} || end != pair.data() + pair.size()) {
      return failure(fmt::format("attribute {}: write NAME=NUMBER", pair));
    }
    out.attributes[pair.substr(0, equals)] = number;
  }
  auto flags =
      parse_go_flags(others, {"n", "toxicName", "t", "type", "toxicity", "tox"}, {"u", "upstream", "d", "downstream"});
  if (!flags) return tl::make_unexpected(flags.error());
  out.flags = *std::move(flags);
  return out;
}

auto toxic(const Client& client, const Words& words) -> int {
  if (words.empty()) return fail(usage);
  const std::string& what = words[0];
  const auto parsed = parse_toxic_flags({words.begin() + 1, words.end()});
  if (!parsed) return fail(parsed.error().message);
  const GoFlags& flags = parsed->flags;
  if (flags.rest.empty()) return fail("Proxy name is required as the first argument.");
  const std::string proxy = flags.rest.front();
  const std::string name = flags.value("n", flags.value("toxicName", ""));
  const std::string toxicity = flags.value("toxicity", flags.value("tox", ""));
  Json body{{"attributes", parsed->attributes}};
  if (!toxicity.empty()) {
    char* end = nullptr;
    body["toxicity"] = std::strtod(toxicity.c_str(), &end);
    if (end != toxicity.c_str() + toxicity.size()) return fail("toxicity should be a float");
  }
  if (is_one_of(what, {"add", "a"})) {
    const std::string type = flags.value("t", flags.value("type", ""));
    if (type.empty()) return fail("Missing required flag: type");
    const bool up = flags.has("u") || flags.has("upstream");
    if (up && (flags.has("d") || flags.has("downstream")))
      return fail("Only one should be specified: upstream or downstream.");
    body["type"] = type;
    body["stream"] = up ? "upstream" : "downstream";
    if (!name.empty()) body["name"] = name;
    const auto made = client.ask("POST", proxy_path(proxy) + "/toxics", body);
    if (!made) return exit_failure;
    fmt::print("Added {} {} toxic '{}' on proxy '{}'\n", bare(made->at("stream")), type, bare(made->at("name")), proxy);
    return exit_ok;
  }
  if (name.empty()) return fail("Missing required flag: toxicName");
  const std::string path = proxy_path(proxy) + "/toxics/" + http::percent_encode(name);
  if (is_one_of(what, {"update", "u"})) {
    if (!client.ask("PATCH", path, body)) return exit_failure;
    fmt::print("Updated toxic '{}' on proxy '{}'\n", name, proxy);
    return exit_ok;
  }
  if (!is_one_of(what, {"remove", "r", "delete", "d"})) return fail(usage);
  if (!client.ask("DELETE", path)) return exit_failure;
  fmt::print("Removed toxic '{}' on proxy '{}'\n", name, proxy);
  return exit_ok;
}

auto create(const Client& client, const Words& words) -> int {
  const auto flags = parse_go_flags(words, {"l", "listen", "u", "upstream"}, {});
  if (!flags) return fail(flags.error().message);
  if (flags->rest.empty()) return fail("Proxy name is required as the first argument.");
  const std::string name = flags->rest.front();
  const Json body{{"name", name},
                  {"listen", flags->value("l", flags->value("listen", ""))},
                  {"upstream", flags->value("u", flags->value("upstream", ""))},
                  {"enabled", true}};
  if (!client.ask("POST", "/proxies", body)) return exit_failure;
  fmt::print("Created new proxy {}\n", name);
  return exit_ok;
}

auto run_command(const Client& client, const std::string& command, const Words& rest) -> int {
  if (is_one_of(command, {"list", "l", "li", "ls"})) return list(client);
  if (is_one_of(command, {"create", "c", "new"})) return create(client, rest);
  if (is_one_of(command, {"toxic", "t"})) return toxic(client, rest);
  const bool known = is_one_of(command, {"inspect", "i", "ins", "toggle", "tog", "delete", "d"});
  if (!known) return fail(fmt::format("there is no command {}\n{}", command, usage));
  if (rest.empty()) return fail("Proxy name is required as the first argument.");
  if (is_one_of(command, {"inspect", "i", "ins"})) return inspect(client, rest.front());
  if (is_one_of(command, {"toggle", "tog"})) return toggle(client, rest.front());
  if (!client.ask("DELETE", proxy_path(rest.front()))) return exit_failure;
  fmt::print("Deleted proxy {}\n", rest.front());
  return exit_ok;
}

}  // namespace

auto run_toxiproxy_cli(const Words& words) -> int {
  const auto flags = parse_go_flags(words, {"host", "h"}, {"help", "version", "v"});
  if (!flags) return fail(flags.error().message);
  if (flags->has("version") || flags->has("v")) {
    fmt::print("toxiproxy-cli version {}\n", api::ToxiproxyRoutes::version);
    return exit_ok;
  }
  if (flags->has("help") || flags->rest.empty() || flags->rest.front() == "help") {
    std::fputs(usage, stdout);
    return exit_ok;
  }
  const char* from_environment = std::getenv("TOXIPROXY_URL");
  const std::string url =
      flags->value("host", flags->value("h", from_environment == nullptr ? "http://localhost:8474" : from_environment));
  const char* token = std::getenv("WEIR_TOKEN");
  auto api = api::Client::create(url, token == nullptr ? "" : token,
                                 fmt::format("toxiproxy-cli/{} (weir)", api::ToxiproxyRoutes::version));
  if (!api) return fail(api.error().message);
  const Client client(*std::move(api));
  try {
    return run_command(client, flags->rest.front(), {flags->rest.begin() + 1, flags->rest.end()});
  } catch (const Json::exception&) {
    return fail(fmt::format("what answers at {} does not speak toxiproxy's API", url));
  }
}

}  // namespace weir::cli
