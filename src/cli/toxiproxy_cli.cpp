// `toxiproxy-cli`: toxiproxy's client under its own name, with its words and its outputs.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "api/toxiproxy_routes.h"
#include "cli/api_command.h"
#include "cli/go_flags.h"
#include "http/percent.h"

namespace weir::cli {
namespace {

using Words = std::vector<std::string>;

// With an empty line behind it, as scripts that compare stderr know it.
auto fail(const std::string& why) -> int {
  std::fprintf(stderr, "%s\n\n", why.c_str());
  return exit_failure;
}
auto is_missing(const char* argument) -> int {
  return fail(fmt::format("Required argument '{}' was empty.", argument));
}
auto names_no_proxy() -> int { return fail("Proxy name is required as the first argument."); }
constexpr int exit_unknown_command = 3;

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

auto show_usage() -> int {
  std::fputs(usage, stdout);
  return exit_ok;
}
auto is_unknown(const std::string& command) -> int {
  std::fprintf(stderr, "No help topic for '%s'\n", command.c_str());
  return exit_unknown_command;
}

class Client {
 public:
  explicit Client(api::Client api) : api_(std::move(api)) {}
  // Prints what could not be done, and why; empty then.
  auto ask(const std::string& what, const std::string& method, const std::string& path, const Json& body = {}) const
      -> std::optional<Json> {
    const auto failed = [&](const std::string& why) {
      (void)fail(fmt::format("{}: {}", what, why));
      return std::nullopt;
    };
    const auto text = body_text(body);
    if (!text) return failed(text.error().message);
    const auto response = api_.request(method, path, *text);
    if (!response) return failed(response.error().message);
    const Json answer = response->body.empty() ? Json::object() : Json::parse(response->body, nullptr, false);
    if (response->status < 300 && !answer.is_discarded()) return answer;
    const bool told = answer.is_object() && answer.contains("error");
    return failed(told ? fmt::format("HTTP {}: {}", response->status, bare(answer.at("error")))
                       : fmt::format("HTTP {}", response->status));
  }

 private:
  api::Client api_;
};

// By name, as toxiproxy-cli prints them.
auto attributes_of(const Json& toxic, std::string_view before_each) -> std::string {
  std::map<std::string, std::string> sorted;
  for (const auto& [key, value] : toxic.at("attributes").items()) sorted[key] = bare(value);
  std::string text;
  for (const auto& [key, value] : sorted) text += fmt::format("{}{}={}", before_each, key, value);
  return text;
}

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
      fmt::print("  {}  type={}  toxicity={:.2f} {}\n", coloured(bare(toxic.at("name")), green), bare(toxic.at("type")),
                 toxic.at("toxicity").get<double>(), attributes_of(toxic, " "));
    }
    if (!any) fmt::print("  none\n");
  }
}

auto list(const Client& client) -> int {
  const auto all = client.ask("Failed to retrieve proxies", "GET", "/proxies");
  if (!all) return exit_failure;
  if (on_terminal()) {
    show_list(*all);
    return exit_ok;
  }
  for (const auto& [name, proxy] : all->items()) {
    fmt::print("{}\t{}\t{}\t{}\t{}\n", bare(proxy.at("name")), bare(proxy.at("listen")), bare(proxy.at("upstream")),
               proxy.at("enabled").get<bool>() ? "enabled" : "disabled", proxy.at("toxics").size());
  }
  return exit_ok;
}

auto retrieve(const Client& client, const std::string& name) -> std::optional<Json> {
  return client.ask("Failed to retrieve proxy " + name, "GET", proxy_path(name));
}

auto inspect(const Client& client, const std::string& name) -> int {
  const auto proxy = retrieve(client, name);
  if (!proxy) return exit_failure;
  if (on_terminal()) {
    show_inspected(*proxy);
    return exit_ok;
  }
  for (const auto& toxic : proxy->at("toxics")) {
    fmt::print("{}\ttype={}\tstream={}\ttoxicity={:.2f}\tattributes=[{}\t]\n", bare(toxic.at("name")),
               bare(toxic.at("type")), bare(toxic.at("stream")), toxic.at("toxicity").get<double>(),
               attributes_of(toxic, "\t"));
  }
  return exit_ok;
}

auto toggle(const Client& client, const std::string& name) -> int {
  const auto proxy = retrieve(client, name);
  if (!proxy) return exit_failure;
  const bool enable = !proxy->at("enabled").get<bool>();
  const std::string what = "Failed to toggle proxy " + name;
  if (!client.ask(what, "PATCH", proxy_path(name), {{"enabled", enable}})) return exit_failure;
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
    // toxiproxy-cli passes over what has no "=": a toxic that does nothing, and no word of it.
    if (equals == std::string::npos || equals == 0)
      return failure(fmt::format("attribute {}: write NAME=NUMBER", pair));
    // The server judges what it is.
    const std::string value = pair.substr(equals + 1);
    const Json number = Json::parse(value, nullptr, false);
    out.attributes[pair.substr(0, equals)] = number.is_number() ? number : Json(value);
  }
  auto flags =
      parse_go_flags(others, {"n", "toxicName", "t", "type", "toxicity", "tox"}, {"u", "upstream", "d", "downstream"});
  if (!flags) return tl::make_unexpected(flags.error());
  out.flags = *std::move(flags);
  return out;
}

auto toxic(const Client& client, const Words& words) -> int {
  if (words.empty() || is_one_of(words[0], {"help", "h"})) return show_usage();
  const std::string& what = words[0];
  if (!is_one_of(what, {"add", "a", "update", "u", "remove", "r", "delete", "d"})) return is_unknown(what);
  const auto parsed = parse_toxic_flags({words.begin() + 1, words.end()});
  if (!parsed) return fail(parsed.error().message);
  const GoFlags& flags = parsed->flags;
  const bool adds = is_one_of(what, {"add", "a"});
  const std::string type = flags.value("t", flags.value("type", ""));
  if (adds && type.empty()) return is_missing("type");
  if (flags.rest.empty()) return fail("Proxy name is missing.");
  const std::string proxy = flags.rest.front();
  const std::string name = flags.value("n", flags.value("toxicName", ""));
  const std::string toxicity = flags.value("toxicity", flags.value("tox", ""));
  Json body{{"attributes", parsed->attributes}};
  if (!toxicity.empty()) {
    char* end = nullptr;
    const double number = std::strtod(toxicity.c_str(), &end);
    if (end != toxicity.c_str() + toxicity.size() || !(number >= 0 && number <= 1)) {
      return fail("toxicity should be a float between 0 and 1.");
    }
    body["toxicity"] = number;
  }
  const auto there = [&](const char* failed) {
    return client
        .ask(fmt::format("{}: failed to retrieve proxy with name `{}`", failed, proxy), "GET", proxy_path(proxy))
        .has_value();
  };
  if (adds) {
    const bool up = flags.has("u") || flags.has("upstream");
    if (up && (flags.has("d") || flags.has("downstream")))
      return fail("Only one should be specified: upstream or downstream.");
    body["type"] = type;
    body["stream"] = up ? "upstream" : "downstream";
    if (!name.empty()) body["name"] = name;
    if (!there("Failed to add toxic")) return exit_failure;
    const auto made = client.ask(fmt::format("Failed to add toxic: failed to add toxic to proxy {}: AddToxic", proxy),
                                 "POST", proxy_path(proxy) + "/toxics", body);
    if (!made) return exit_failure;
    fmt::print("Added {} {} toxic '{}' on proxy '{}'\n", bare(made->at("stream")), type, bare(made->at("name")), proxy);
    return exit_ok;
  }
  if (name.empty()) return is_missing("toxicName");
  const std::string path = proxy_path(proxy) + "/toxics/" + http::percent_encode(name);
  if (is_one_of(what, {"update", "u"})) {
    if (!there("Failed to update toxic")) return exit_failure;
    const auto failed = fmt::format("Failed to update toxic: failed to update toxic '{}' of proxy '{}'", name, proxy);
    if (!client.ask(failed, "PATCH", path, body)) return exit_failure;
    fmt::print("Updated toxic '{}' on proxy '{}'\n", name, proxy);
    return exit_ok;
  }
  if (!there("Failed to remove toxic")) return exit_failure;
  const auto failed = fmt::format("Failed to remove toxic: failed to remove toxic '{}' from proxy '{}'", name, proxy);
  if (!client.ask(failed, "DELETE", path)) return exit_failure;
  fmt::print("Removed toxic '{}' on proxy '{}'\n", name, proxy);
  return exit_ok;
}

auto create(const Client& client, const Words& words) -> int {
  const auto flags = parse_go_flags(words, {"l", "listen", "u", "upstream"}, {});
  if (!flags) return fail(flags.error().message);
  if (flags->rest.empty()) return names_no_proxy();
  const std::string name = flags->rest.front();
  const std::string listen = flags->value("l", flags->value("listen", ""));
  const std::string upstream = flags->value("u", flags->value("upstream", ""));
  if (listen.empty()) return is_missing("listen");
  if (upstream.empty()) return is_missing("upstream");
  const Json body{{"name", name}, {"listen", listen}, {"upstream", upstream}, {"enabled", true}};
  if (!client.ask("Failed to create proxy: Create", "POST", "/proxies", body)) return exit_failure;
  fmt::print("Created new proxy {}\n", name);
  return exit_ok;
}

auto run_command(const Client& client, const std::string& command, const Words& rest) -> int {
  if (!rest.empty() && is_one_of(rest.front(), {"--help", "-help"})) return show_usage();
  if (is_one_of(command, {"list", "l", "li", "ls"})) return list(client);
  if (is_one_of(command, {"create", "c", "new"})) return create(client, rest);
  if (is_one_of(command, {"toxic", "t"})) return toxic(client, rest);
  const bool known = is_one_of(command, {"inspect", "i", "ins", "toggle", "tog", "delete", "d"});
  if (!known) return is_unknown(command);
  if (rest.empty()) return names_no_proxy();
  if (is_one_of(command, {"inspect", "i", "ins"})) return inspect(client, rest.front());
  if (is_one_of(command, {"toggle", "tog"})) return toggle(client, rest.front());
  const std::string& name = rest.front();
  if (!retrieve(client, name)) return exit_failure;
  if (!client.ask("Failed to delete proxy " + name, "DELETE", proxy_path(name))) return exit_failure;
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
    return show_usage();
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
