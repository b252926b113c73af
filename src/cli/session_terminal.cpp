#include "cli/session_terminal.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <sstream>

#include "cli/alternate_screen.h"
#include "cli/fault_options.h"
#include "cli/session_screen.h"
#include "http/percent.h"

namespace weir::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

auto rate(const Json& value) -> std::optional<double> {
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

auto rows_of(const Json& answer) -> SessionRows {
  SessionRows sessions;
  for (const auto& session : answer.at("sessions")) {
    SessionRow row{.proxy = bare(session.at("proxy")),
                   .number = bare(session.at("session")),
                   .phase = bare(session.at("phase")),
                   .client = bare(session.at("client")),
                   .upstream = session.at("upstream").is_null() ? "" : bare(session.at("upstream")),
                   .age_seconds = session.at("age_seconds").get<double>(),
                   .sent = session.at("bytes_upstream").get<std::uint64_t>(),
                   .answered = session.at("bytes_downstream").get<std::uint64_t>(),
                   .sending = rate(session.at("rate_upstream")),
                   .answering = rate(session.at("rate_downstream")),
                   .faults = {}};
    for (const auto& name : session.at("faults")) row.faults += (row.faults.empty() ? "" : ",") + bare(name);
    sessions.rows.push_back(std::move(row));
  }
  sessions.left_out = answer.at("left_out").get<std::uint64_t>();
  sessions.partial = answer.at("partial").get<bool>();
  return sessions;
}

auto path_of_proxy(const std::string& proxy) -> std::string { return "/proxies/" + http::percent_encode(proxy); }

// What became of it, as a sentence for the bottom row.
auto close_session(const ApiCommand& api, const SessionScreen::Close& close) -> std::string {
  const auto done =
      api.fetch("DELETE", path_of_proxy(close.proxy) + "/sessions/" + http::percent_encode(close.number), {});
  return done ? fmt::format("session {} of {} is closing", close.number, close.proxy) : done.error().message;
}

auto add_fault(const ApiCommand& api, const SessionScreen::AddFault& fault) -> std::string {
  std::istringstream text(fault.words);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  if (words.front().find('=') == std::string::npos) words.front().insert(0, "type=");
  if (auto good = check_fault_words(words); !good) return good.error().message;
  const auto body = parse_pairs(words);
  if (!body) return body.error().message;
  const auto added = api.fetch("POST", path_of_proxy(fault.proxy) + "/faults", *body);
  if (!added) return added.error().message;
  const std::string name =
      added->json.is_object() && added->json.contains("name") ? bare(added->json["name"]) : words.front();
  return fmt::format("fault {} is added to {}; weir fault remove {} {} takes it away", name, fault.proxy, fault.proxy,
                     name);
}

// What is typed until `end`, or until there is something. Empty: nothing. None: the terminal has gone.
auto typed_until(SteadyClock::time_point end, bool has_keys) -> std::optional<std::string> {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - SteadyClock::now()).count();
  pollfd waiting{.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) return "";
  std::array<char, 1024> bytes{};
  const auto got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return "";
  if (got <= 0) return std::nullopt;
  return std::string(bytes.data(), static_cast<std::size_t>(got));
}

// False: leave.
auto press_all(const ApiCommand& api, SessionScreen& screen, std::string_view typed) -> bool {
  for (const Key& key : parse_keys(typed)) {
    const auto wish = screen.press(key);
    if (std::holds_alternative<SessionScreen::Quit>(wish)) return false;
    if (const auto* close = std::get_if<SessionScreen::Close>(&wish)) screen.say(close_session(api, *close));
    if (const auto* fault = std::get_if<SessionScreen::AddFault>(&wish)) screen.say(add_fault(api, *fault));
  }
  return true;
}

}  // namespace

auto run_session_screen(const ApiCommand& api, const std::string& path) -> int {
  const bool has_keys = ::isatty(STDIN_FILENO) == 1;
  SessionScreen screen(api.url(), has_keys);
  AlternateScreen terminal(has_keys);
  while (true) {
    const auto answer = api.fetch("GET", path, {});
    std::string problem = answer ? "" : answer.error().message;
    int code = answer ? exit_ok : answer.error().code;
    try {
      const auto now = SteadyClock::now().time_since_epoch();
      if (answer) screen.take(rows_of(answer->json), std::chrono::duration<double>(now).count());
    } catch (const Json::exception&) {
      problem = not_weir(api.url());
      code = exit_failure;
    }
    if (!problem.empty()) {
      terminal.leave();
      return complain(problem, code);
    }
    const auto next = SteadyClock::now() + std::chrono::seconds{1};
    while (SteadyClock::now() < next) {
      terminal.show(screen.frame(terminal_size()));
      const auto typed = typed_until(next, has_keys);
      if (!typed || !press_all(api, screen, *typed)) return exit_ok;
    }
  }
}

}  // namespace weir::cli
