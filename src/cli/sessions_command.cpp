#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include "base/duration.h"
#include "cli/api_command.h"
#include "cli/session_terminal.h"
#include "http/percent.h"
#include "view/wall_stamp.h"

namespace weir::cli {
namespace {

// Over which a rate is measured that is shown once.
constexpr std::chrono::milliseconds rate_window{500};

auto seconds_text(const Json& seconds) -> std::string {
  return format_duration(std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds.get<double>())));
}

auto rate_text(const Json& rate) -> std::string {
  if (!rate.is_number()) return "-";
  return format_size(static_cast<std::uint64_t>(rate.get<double>())) + "/s";
}

auto names_text(const Json& names) -> std::string {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ",") + bare(name);
  return text.empty() ? "-" : text;
}

auto sessions_text(const Json& answer) -> std::string {
  std::vector<std::vector<std::string>> rows;
  for (const auto& session : answer.at("sessions")) {
    rows.push_back(
        {bare(session.at("proxy")), bare(session.at("session")), bare(session.at("phase")), bare(session.at("client")),
         session.at("upstream").is_null() ? "-" : bare(session.at("upstream")), seconds_text(session.at("age_seconds")),
         format_size(session.at("bytes_upstream").get<std::uint64_t>()),
         format_size(session.at("bytes_downstream").get<std::uint64_t>()), rate_text(session.at("rate_upstream")),
         rate_text(session.at("rate_downstream")), names_text(session.at("faults"))});
  }
  std::string text = table_text(
      {"PROXY", "SESSION", "PHASE", "CLIENT", "UPSTREAM", "AGE", "SENT", "ANSWERED", "SENDING", "ANSWERING", "FAULTS"},
      rows);
  if (const auto more = answer.at("left_out").get<std::uint64_t>(); more > 0)
    text += fmt::format("and {} more\n", more);
  if (answer.at("partial").get<bool>()) text += "a worker did not answer in time: its sessions are missing\n";
  return text;
}

void show_sessions(const Json& answer) { std::fputs(sessions_text(answer).c_str(), stdout); }

auto run_sessions(const ApiCommand& api, const std::string& proxy, bool watch) -> int {
  const std::string path = "/sessions" + (proxy.empty() ? "" : "?proxy=" + http::percent_encode(proxy));
  // A rate is what came since one has asked before.
  if (const int code = api.ask(
          "GET", path, {}, [](const Json&) {}, false);
      code != exit_ok)
    return code;
  std::this_thread::sleep_for(rate_window);
  if (watch && !api.json() && ::isatty(STDOUT_FILENO) == 1) return run_session_screen(api, path);
  while (true) {
    const int code = api.ask("GET", path, {}, show_sessions);
    std::fflush(stdout);
    if (!watch || code != exit_ok) return code;
    std::this_thread::sleep_for(std::chrono::seconds{1});
  }
}

// "12" as a number; what is none stays a text.
auto id_of(const std::string& text) -> Json {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty()) return {};
  return error == std::errc{} && end == text.data() + text.size() ? Json(number) : Json(text);
}

// RFC 3339 in UTC; "-" for a time that is none.
auto time_text(const Json& data) -> std::string {
  const auto found = data.find("time");
  constexpr double year_10000 = 253'402'300'800.0;
  if (found == data.end() || !found->is_number()) return "-";
  const auto seconds = found->get<double>();
  if (!(seconds >= 0 && seconds < year_10000)) return "-";
  // A double holds microseconds of our days, and the stamp rounds down.
  const std::chrono::microseconds micros{std::llround(seconds * 1e6)};
  view::UtcStamp stamp;
  stamp.set(WallTime{micros});
  return std::string(stamp.text());
}

// One event: "id: 12", "event: proxy.created", "data: {...}", an empty line.
auto run_events(const ApiCommand& api, bool follow, std::optional<std::uint64_t> after) -> int {
  const auto client = api.client();
  if (!client) return complain(client.error().message, exit_usage);
  std::string type;
  std::string id;
  bool foreign = false;
  const auto take = [&](std::string_view line) {
    if (line.starts_with("id: ")) id = line.substr(4);
    if (line.starts_with("event: ")) type = line.substr(7);
    if (!line.starts_with("data: ")) return true;
    Json data = Json::parse(line.substr(6), nullptr, false);
    if (!data.is_object()) {
      foreign = true;
      return false;
    }
    if (api.json()) {
      Json whole{{"id", id_of(id)}, {"event", type}, {"data", std::move(data)}};
      print_json(whole);
    } else {
      std::string text = fmt::format("{:<27} {:<16}", time_text(data), type);
      for (const auto& [key, value] : data.items()) {
        if (key != "time") text += fmt::format(" {}={}", key, bare(value));
      }
      std::puts(text.c_str());
    }
    std::fflush(stdout);
    return true;
  };
  const std::uint64_t from = after.value_or(0);
  const std::string path = follow && !after ? "/api/v1/events" : fmt::format("/api/v1/events?after={}", from);
  if (follow) {
    const auto ended = client->lines(path, take);
    if (foreign) return complain(not_weir(client->url()), exit_failure);
    return ended ? exit_ok : complain(ended.error().message, exit_failure);
  }
  const auto response = client->request("GET", path + "&follow=false");
  if (!response) return complain(response.error().message, exit_failure);
  std::string_view left = response->body;
  while (!left.empty()) {
    const auto end = std::min(left.find('\n'), left.size());
    if (!take(left.substr(0, end))) return complain(not_weir(client->url()), exit_failure);
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  return exit_ok;
}

}  // namespace

void add_sessions(Command app, int& exit_code) {
  struct Words {
    ApiCommand api;
    std::string proxy;
    bool watch = false;
  };
  auto words = std::make_shared<Words>();
  Command sessions = app.add_subcommand("sessions", "List the live sessions of a running weir serve");
  words->api.add_options(sessions);
  sessions.footer(
      "Examples:\n"
      "  weir sessions --watch                  what goes on now, once a second: weir top\n"
      "  weir sessions --proxy db --json        of one proxy, for scripts");
  sessions.add_option("--proxy", words->proxy, "Of this proxy only").type_name("NAME");
  sessions.add_flag("--watch", words->watch, "Again every second, until it is ended");
  sessions.callback([words, &exit_code] { exit_code = run_sessions(words->api, words->proxy, words->watch); });
  Command top = app.add_subcommand("top", "Watch the live sessions full screen, close them and add faults");
  words->api.add_options(top);
  top.footer(
      "The keys stand in the bottom row, and ? explains them: sort by bytes, rate, age or silence, select a session,\n"
      "close it, add a fault to its proxy. Without a terminal it prints a table each second, as weir sessions "
      "--watch.\n"
      "\nExample:\n"
      "  weir top --proxy db                    the sessions of one proxy");
  top.add_option("--proxy", words->proxy, "Of this proxy only").type_name("NAME");
  top.callback([words, &exit_code] { exit_code = run_sessions(words->api, words->proxy, true); });
}

void add_session(Command app, int& exit_code) {
  struct Words {
    ApiCommand api;
    std::string proxy;
    std::string number;
  };
  auto words = std::make_shared<Words>();
  Command session = app.add_subcommand("session", "Close one session of a running weir serve");
  session.require_subcommand();
  session.footer(
      "Examples:\n"
      "  weir sessions                          the sessions and their numbers\n"
      "  weir session close db 12               FIN to both ends of session 12");
  Command list = session.add_subcommand("list", "The live sessions: weir sessions");
  words->api.add_options(list);
  list.callback([words, &exit_code] { exit_code = run_sessions(words->api, "", false); });
  Command close = session.add_subcommand("close", "Close a session, in order");
  close.also({"kill", "end"});
  words->api.add_url(close);
  close.add_option("PROXY", words->proxy, "The proxy's name").required();
  close.add_option("SESSION", words->number, "The session's number, as weir sessions tells it").required();
  close.callback([words, &exit_code] {
    const std::string path =
        fmt::format("/proxies/{}/sessions/{}", http::percent_encode(words->proxy), http::percent_encode(words->number));
    exit_code = words->api.ask("DELETE", path, {}, [](const Json&) {});
  });
}

void add_events(Command app, int& exit_code) {
  struct Words {
    ApiCommand api;
    bool follow = false;
    std::optional<std::uint64_t> after;
  };
  auto words = std::make_shared<Words>();
  Command events = app.add_subcommand("events", "Show what happened lately in a running weir serve");
  words->api.add_options(events);
  events.footer(
      "Examples:\n"
      "  weir events --follow                   what happens from now on\n"
      "  weir events --after 120 --json         what came after event 120, a line of JSON each");
  events.add_flag("--follow", words->follow, "Wait for more, until it is ended");
  events.add_option("--after", words->after, "Only those after this number").type_name("N");
  events.callback([words, &exit_code] { exit_code = run_events(words->api, words->follow, words->after); });
}

}  // namespace weir::cli
