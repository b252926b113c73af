#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/api_command.h"
#include "cli/ends.h"
#include "cli/fault_options.h"
#include "cli/help_text.h"
#include "cli/setting_options.h"
#include "cli/usage_error.h"
#include "http/percent.h"

namespace weir::cli {
namespace {

auto proxy_path(const std::string& name) -> std::string { return "/proxies/" + http::percent_encode(name); }

auto proxy_row(const Json& proxy) -> std::vector<std::string> {
  return {bare(proxy.at("name")), bare(proxy.at("listen")), bare(proxy.at("upstream")),
          proxy.at("enabled").get<bool>() ? "enabled" : "disabled", std::to_string(proxy.at("faults").size())};
}
const std::vector<std::string> proxy_head{"NAME", "LISTEN", "UPSTREAM", "STATE", "FAULTS"};

// "latency=100ms jitter=20ms", without what every fault has.
auto fault_row(const Json& fault) -> std::vector<std::string> {
  constexpr std::array<std::string_view, 8> every_one{"name", "type",  "direction", "probability", "applied_sessions",
                                                      "id",   "owner", "lease"};
  std::string rest;
  for (const auto& [key, value] : fault.items()) {
    if (std::ranges::find(every_one, key) != every_one.end()) continue;
    rest += (rest.empty() ? "" : " ") + key + "=" + bare(value);
  }
  return {bare(fault.at("name")),
          bare(fault.at("type")),
          bare(fault.value("direction", Json("-"))),  // a fault of accepting or connecting has none
          bare(fault.at("probability")),
          bare(fault.at("applied_sessions")),
          rest};
}
const std::vector<std::string> fault_head{"NAME", "TYPE", "DIRECTION", "PROBABILITY", "SESSIONS", "ATTRIBUTES"};

void show_proxies(const Json& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& proxy : answer.at("proxies")) rows.push_back(proxy_row(proxy));
  print_table(proxy_head, rows);
}

void show_faults(const Json& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& fault : answer.at("faults")) rows.push_back(fault_row(fault));
  print_table(fault_head, rows);
}

// Those that are not at their default.
void show_settings(const Json& proxy) {
  std::vector<std::vector<std::string>> rows;
  const proxy::ProxyRules usual;
  for (const auto& setting : proxy::setting_catalog()) {
    if (setting.kind == proxy::SettingKind::listen || setting.required || setting.name == "enabled") continue;
    const Json& where = setting.group().empty() ? proxy : proxy.at(std::string(setting.group()));
    const Json& value = where.at(std::string(setting.name_in_group()));
    proxy::ProxyRules its;
    if (!proxy::set(setting, its, proxy::written(setting, value.is_null() ? "off" : bare(value)))) continue;
    if (proxy::same(setting, its, usual)) continue;
    rows.push_back({std::string(setting.name), proxy::format(setting, its), proxy::format(setting, usual)});
  }
  if (!rows.empty()) print_table({"SETTING", "VALUE", "DEFAULT"}, rows);
}

void show_proxy(const Json& proxy) {
  print_table(proxy_head, {proxy_row(proxy)});
  show_settings(proxy);
  if (!proxy.at("faults").empty()) show_faults(proxy);
}

void show_fault(const Json& fault) { print_table(fault_head, {fault_row(fault)}); }

void show_catalog(const Json& answer) {
  std::string text;
  for (const auto& fault : answer.at("faults")) {
    text += fmt::format("{:<18}  {}\n", bare(fault.at("type")), bare(fault.at("doc")));
    for (const auto& attribute : fault.at("attributes")) {
      text += fmt::format("    {:<16}  {} (default {})\n", bare(attribute.at("name")), bare(attribute.at("doc")),
                          bare(attribute.at("default")));
    }
  }
  for (const auto& messages : answer.at("messages")) {
    text += fmt::format("on={:<15}  {}\n", bare(messages.at("name")), bare(messages.at("doc")));
  }
  std::fputs(::isatty(STDOUT_FILENO) == 1 ? wrap_lines(text, help_width()).c_str() : text.c_str(), stdout);
}

void show_nothing(const Json&) {}

struct Words {
  ApiCommand api;
  std::string proxy;
  std::string fault;
  std::string listen;
  std::string upstream;
  std::vector<std::string> pairs;
};

auto run_with_pairs(const Words& words, const std::string& method, const std::string& path, Json body,
                    const std::function<void(const Json&)>& show) -> int {
  auto pairs = parse_pairs(words.pairs);
  if (!pairs) return complain(pairs.error().message, exit_usage);
  body.update(*pairs);
  return words.api.ask(method, path, body, show);
}

// KEY=VALUE words as the settings that they name, each as its kind is written in JSON; what names none goes as it
// is, for the server to refuse.
auto settings_body(const std::vector<std::string>& words) -> Result<Json> {
  Json body = Json::object();
  for (const std::string& word : words) {
    auto pair = parse_pairs({word});
    if (!pair) return pair;
    const std::string key = word.substr(0, word.find('='));
    const auto dot = key.find('.');
    Json& place = dot == std::string::npos ? body[key] : body[key.substr(0, dot)][key.substr(dot + 1)];
    const auto* setting = proxy::find_setting(key);
    if (setting == nullptr) {
      place = pair->at(key);
      continue;
    }
    std::string meant_value = word.substr(key.size() + 1);
    if (setting->kind == proxy::SettingKind::upstream || setting->kind == proxy::SettingKind::listen) {
      auto meant =
          setting->kind == proxy::SettingKind::upstream ? upstream_word(meant_value) : listen_word(meant_value);
      if (!meant) return failure(fmt::format("{}: {}", key, meant.error().message));
      meant_value = *std::move(meant);
    }
    std::visit(
        [&place](const auto& value) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) place = value;
        },
        proxy::written(*setting, meant_value));
  }
  return body;
}

auto run_with_settings(const Words& words, const std::string& method, const std::string& path, Json body) -> int {
  auto settings = settings_body(words.pairs);
  if (!settings) return complain(settings.error().message, exit_usage);
  body.update(*settings);
  return words.api.ask(method, path, body, show_proxy);
}

// LISTEN and UPSTREAM as people type them: see ends.h.
auto run_add(const Words& words) -> int {
  const auto listen = in_option("LISTEN", listen_word(words.listen));
  if (!listen) return complain(listen.error().message, exit_usage);
  const auto upstream = in_option("UPSTREAM", upstream_word(words.upstream));
  if (!upstream) return complain(upstream.error().message, exit_usage);
  return run_with_settings(words, "POST", "/proxies",
                           {{"name", words.proxy}, {"listen", *listen}, {"upstream", *upstream}});
}

// "latency latency=100ms", as --fault of `weir tap` takes it.
auto run_add_fault(Words& words, const std::string& path) -> int {
  if (words.pairs.front().find('=') == std::string::npos) words.pairs.front().insert(0, "type=");
  if (auto good = check_fault_words(words.pairs); !good) return complain(good.error().message, exit_usage);
  return run_with_pairs(words, "POST", path, Json::object(), show_fault);
}

// One after the other; one that somebody else removes meanwhile is removed as well.
auto run_clear(const Words& words, const std::string& path) -> int {
  const auto listed = words.api.fetch("GET", path, {});
  if (!listed) return complain(listed.error().message, listed.error().code);
  std::vector<std::string> names;
  try {
    for (const auto& fault : listed->json.at("faults")) names.push_back(fault.at("name").get<std::string>());
  } catch (const Json::exception&) {
    return complain(not_weir(words.api.url()), exit_failure);
  }
  for (const std::string& name : names) {
    const auto removed = words.api.fetch("DELETE", path + "/" + http::percent_encode(name), {});
    if (removed) continue;
    const auto again = words.api.fetch("GET", path + "/" + http::percent_encode(name), {});
    if (again) return complain(removed.error().message, removed.error().code);
  }
  return exit_ok;
}

// One subcommand with --url and --json.
auto add(Command parent, const std::shared_ptr<Words>& words, const char* name, const char* help,
         std::function<int()> run, int& exit_code) -> Command {
  Command command = parent.add_subcommand(name, help);
  words->api.add_options(command);
  command.callback([words, run = std::move(run), &exit_code] { exit_code = run(); });
  return command;
}

void want_proxy(Command command, const std::shared_ptr<Words>& words) {
  command.add_option("PROXY", words->proxy, "The proxy's name").required();
}

auto setting_words() -> std::vector<std::string> {
  std::vector<std::string> words;
  for (const auto& setting : proxy::setting_catalog()) words.push_back(std::string(setting.name) + "=");
  return words;
}

void want_pairs(Command command, const std::shared_ptr<Words>& words, const char* help) {
  command.add_option("KEY=VALUE", words->pairs, help).required().expected(-1);
}

}  // namespace

void add_proxy(Command app, int& exit_code) {
  auto words = std::make_shared<Words>();
  Command proxy = app.add_subcommand("proxy", "List, make, change and remove the proxies of a running weir serve");
  proxy.require_subcommand();
  proxy.footer(
      "Examples:\n"
      "  weir proxy add db 8888 localhost:5432                     then point the application at port 8888\n"
      "  weir proxy set db upstream=replica:5432                   new sessions go to another upstream\n"
      "  weir proxy set db timeouts.idle=2s max_sessions=100       without ending a session\n"
      "  weir proxy disable db                                     as if the database were down");
  Words& w = *words;
  add(
      proxy, words, "list", "All proxies", [&w] { return w.api.ask("GET", "/proxies", {}, show_proxies); }, exit_code)
      .also({"ls"});
  add(
      app, words, "ls", "List the proxies of a running weir serve: weir proxy list",
      [&w] { return w.api.ask("GET", "/proxies", {}, show_proxies); }, exit_code)
      .also({"list", "proxies"});
  want_proxy(add(
                 proxy, words, "show", "One proxy with its faults",
                 [&w] { return w.api.ask("GET", proxy_path(w.proxy), {}, show_proxy); }, exit_code),
             words);
  Command made = add(
      proxy, words, "add", "Make a proxy", [&w] { return run_add(w); }, exit_code);
  want_proxy(made, words);
  made.add_option("LISTEN", w.listen, "8888, :8888, host:port or unix:/path; port 0 picks one").required();
  made.also({"create", "new"});
  made.add_option("UPSTREAM", w.upstream, "host:port, 5432 (of localhost) or unix:/path").required();
  offer_choices(made.add_option("KEY=VALUE", w.pairs, "Settings, as of weir proxy set").expected(-1), setting_words());
  Command set = add(
      proxy, words, "set", "Change a proxy",
      [&w] { return run_with_settings(w, "PATCH", proxy_path(w.proxy), Json::object()); }, exit_code);
  want_proxy(set, words);
  want_pairs(set, words, "Settings and their new values, such as timeouts.idle=2s; see below");
  offer_choices(set.option("KEY=VALUE"), setting_words());
  set.footer(settings_help());
  Command removed = add(
      proxy, words, "remove", "Remove a proxy and close its sessions",
      [&w] { return w.api.ask("DELETE", proxy_path(w.proxy), {}, show_nothing); }, exit_code);
  removed.also({"rm", "delete"});
  want_proxy(removed, words);
  for (const bool enabled : {true, false}) {
    want_proxy(add(
                   proxy, words, enabled ? "enable" : "disable",
                   enabled ? "Let a proxy listen" : "Close a proxy's listener and sessions",
                   [&w, enabled] {
                     return w.api.ask("PATCH", proxy_path(w.proxy), {{"enabled", enabled}}, show_proxy);
                   },
                   exit_code),
               words);
  }
}

void add_fault(Command app, int& exit_code) {
  auto words = std::make_shared<Words>();
  Command fault = app.add_subcommand("fault", "List, add, change and remove the faults of a proxy");
  fault.require_subcommand();
  fault.footer(
      "Examples:\n"
      "  weir fault add db latency latency=100ms jitter=20ms       every answer 100 ms later\n"
      "  weir fault set db latency_downstream probability=0.3      in three sessions of ten\n"
      "  weir fault remove db latency_downstream                   at once, on open sessions too\n"
      "  weir fault clear db                                       all of them");
  Words& w = *words;
  const auto faults_path = [](const Words& from) { return proxy_path(from.proxy) + "/faults"; };
  const auto fault_path = [](const Words& from) {
    return proxy_path(from.proxy) + "/faults/" + http::percent_encode(from.fault);
  };
  add(
      fault, words, "catalog", "Every kind of fault with its attributes",
      [&w] { return w.api.ask("GET", "/catalog", {}, show_catalog); }, exit_code);
  Command listed = add(
      fault, words, "list", "The faults of a proxy",
      [&w, faults_path] { return w.api.ask("GET", faults_path(w), {}, show_faults); }, exit_code);
  listed.also({"ls"});
  want_proxy(listed, words);
  Command added = add(
      fault, words, "add", "Add a fault at the end of a proxy's chain",
      [&w, faults_path] { return run_add_fault(w, faults_path(w)); }, exit_code);
  want_proxy(added, words);
  want_pairs(added, words, "The kind and its fields: latency latency=100ms ...; see weir fault catalog");
  Command set = add(
      fault, words, "set", "Change a fault",
      [&w, fault_path] { return run_with_pairs(w, "PATCH", fault_path(w), Json::object(), show_fault); }, exit_code);
  want_proxy(add(
                 fault, words, "clear", "Remove all faults of a proxy",
                 [&w, faults_path] { return run_clear(w, faults_path(w)); }, exit_code),
             words);
  Command removed = add(
      fault, words, "remove", "Remove a fault",
      [&w, fault_path] { return w.api.ask("DELETE", fault_path(w), {}, show_nothing); }, exit_code);
  removed.also({"rm", "delete"});
  for (Command command : {set, removed}) {
    want_proxy(command, words);
    command.add_option("FAULT", w.fault, "The fault's name").required();
  }
  want_pairs(set, words, "Attributes and their new values");
}

}  // namespace weir::cli
