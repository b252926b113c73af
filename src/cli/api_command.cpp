#include "cli/api_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>

#include "base/control_characters.h"
#include "cli/terminal_width.h"
#include "view/json_string.h"

namespace weir::cli {

void ApiCommand::add_options(Command command) {
  add_url(command);
  command.add_flag("--json", json_, "Print what the API answers, for scripts");
}

void ApiCommand::add_url(Command command) {
  command.add_option("--url", url_, "The API, http://HOST:PORT or unix:/path; also from WEIR_URL")
      .type_name("URL")
      .environment("WEIR_URL")
      .default_as_it_is();
}

auto ApiCommand::client() const -> Result<api::Client> {
  const char* token = std::getenv("WEIR_TOKEN");
  return api::Client::create(url_, token == nullptr ? "" : token, "weir");
}

auto ApiCommand::fetch(const std::string& method, const std::string& path, const Json& body) const
    -> tl::expected<Answer, Problem> {
  const auto wrong = [](const std::string& message, int code) { return tl::make_unexpected(Problem{message, code}); };
  const auto api = client();
  if (!api) return wrong(api.error().message, exit_usage);
  const auto text = body_text(body);
  if (!text) return wrong(text.error().message, exit_usage);
  auto response = api->request(method, "/api/v1" + path, *text);
  if (!response) return wrong(response.error().message, exit_failure);
  Json answer = Json::parse(response->body, nullptr, false);
  if (response->status < 300) return Answer{std::move(response->body), std::move(answer)};
  const bool told = answer.is_object() && answer.contains("error");
  return wrong(told ? bare(answer["error"]) : fmt::format("the API at {} answered {}", api->url(), response->status),
               response->status == 400 ? exit_usage : exit_failure);
}

auto ApiCommand::ask(const std::string& method, const std::string& path, const Json& body,
                     const std::function<void(const Json&)>& show, bool print) const -> int {
  const auto answer = fetch(method, path, body);
  if (!answer) return complain(answer.error().message, answer.error().code);
  if (!print) return exit_ok;
  if (json_) {
    std::fputs(answer->text.c_str(), stdout);
    return exit_ok;
  }
  try {
    show(answer->json);
  } catch (const Json::exception&) {
    return complain(not_weir(url_), exit_failure);
  }
  return exit_ok;
}

auto body_text(const Json& body) -> Result<std::string> {
  try {
    return body.is_null() ? "" : body.dump();
  } catch (const Json::exception&) {
    return failure("a word of the command line is not UTF-8");
  }
}

auto not_weir(const std::string& url) -> std::string {
  return fmt::format("what answers at {} is not weir's API: --url or WEIR_URL names it", url);
}

namespace {

using Row = std::vector<std::string>;

// Which columns begin a line of their own, so that each line is at most so wide.
auto line_starts(const std::vector<std::size_t>& widths, std::size_t columns) -> std::vector<bool> {
  std::vector<bool> starts(widths.size());
  std::size_t used = 0;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (i > 0 && used + widths[i] > columns) {
      starts[i] = true;
      used = 2;
    }
    used += widths[i] + 2;
  }
  return starts;
}

}  // namespace

auto table_text(const Row& head, const std::vector<Row>& rows) -> std::string {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::vector<std::size_t> widths(head.size());
  for (std::size_t i = 0; i < head.size(); ++i) {
    widths[i] = head[i].size();
    for (const Row& row : rows) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  const auto starts = line_starts(widths, terminal ? terminal_size().columns : 0);
  std::string text;
  const auto add = [&](const Row& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      if (!terminal) {
        text += row[i] + (last ? "" : "\t");
        continue;
      }
      if (starts[i]) text += "\n  ";
      text += row[i];
      if (!last && !starts[i + 1]) text.append(widths[i] - display_width(row[i]) + 2, ' ');
    }
    text += "\n";
  };
  if (terminal) add(head);
  for (const Row& row : rows) add(row);
  return text;
}

void print_table(const Row& head, const std::vector<Row>& rows) { std::fputs(table_text(head, rows).c_str(), stdout); }

void print_json(const Json& value) { std::puts(value.dump(-1, ' ', true, Json::error_handler_t::replace).c_str()); }

auto bare(const Json& value) -> std::string {
  if (!value.is_string()) return value.dump();
  // What others chose is kept from moving a terminal's cursor, and from turning its text around.
  const std::string text = value.get<std::string>();
  std::string safe;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t control = control_bytes_at(text, i);
    const bool above_ascii = static_cast<unsigned char>(text[i]) >= 0x80;
    const std::size_t length = view::character_length(std::as_bytes(std::span(text).subspan(i)));
    const bool is_safe = !above_ascii || view::safe_character(std::as_bytes(std::span(text).subspan(i))) > 0;
    const std::size_t size = control > 0 ? control : std::max<std::size_t>(length, 1);
    safe += control > 0 || !is_safe ? "?" : text.substr(i, size);
    i += size;
  }
  return safe;
}

auto parse_pairs(const std::vector<std::string>& words) -> Result<Json> {
  Json out = Json::object();
  for (const auto& word : words) {
    const auto equals = word.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return failure(fmt::format("\"{}\": write KEY=VALUE, such as latency=100ms", word));
    }
    const std::string text = word.substr(equals + 1);
    const Json value = Json::parse(text, nullptr, false);
    const bool is_word = value.is_discarded() || value.is_structured() || value.is_null();
    out[word.substr(0, equals)] = is_word ? Json(text) : value;
  }
  return out;
}

}  // namespace weir::cli
