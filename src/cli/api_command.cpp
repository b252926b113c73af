#include "cli/api_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/control_characters.h"

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

auto ApiCommand::ask(const std::string& method, const std::string& path, const Json& body,
                     const std::function<void(const Json&)>& show, bool print) const -> int {
  const auto api = client();
  if (!api) return complain(api.error().message, exit_usage);
  const auto text = body_text(body);
  if (!text) return complain(text.error().message, exit_usage);
  const auto response = api->request(method, "/api/v1" + path, *text);
  if (!response) return complain(response.error().message, exit_failure);
  const Json answer = Json::parse(response->body, nullptr, false);
  if (response->status >= 300) {
    const bool told = answer.is_object() && answer.contains("error");
    const std::string why =
        told ? bare(answer["error"]) : fmt::format("the API at {} answered {}", api->url(), response->status);
    return complain(why, response->status == 400 ? exit_usage : exit_failure);
  }
  if (!print) return exit_ok;
  if (json_ && !response->body.empty()) {
    std::fputs(response->body.c_str(), stdout);
  } else if (!json_) {
    try {
      show(answer);
    } catch (const Json::exception&) {
      return complain(not_weir(api->url()), exit_failure);
    }
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

void print_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::vector<std::size_t> widths;
  widths.reserve(head.size());
  for (const auto& cell : head) widths.push_back(cell.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      line += terminal && !last ? fmt::format("{:<{}}  ", row[i], widths[i]) : row[i] + (last ? "" : "\t");
    }
    std::puts(line.c_str());
  };
  if (terminal) print(head);
  for (const auto& row : rows) print(row);
}

void print_json(const Json& value) { std::puts(value.dump(-1, ' ', true, Json::error_handler_t::replace).c_str()); }

auto bare(const Json& value) -> std::string {
  if (!value.is_string()) return value.dump();
  // What others chose is kept from moving a terminal's cursor.
  std::string text = value.get<std::string>();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const auto control = control_bytes_at(text, i); control > 0) text.replace(i, control, "?");
  }
  return text;
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
