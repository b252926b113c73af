// What the commands that rule a running weir share.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/client.h"
#include "cli/command.h"

namespace weir::cli {

using Json = nlohmann::ordered_json;

// The options --url and --json, and the requests.
class ApiCommand {
 public:
  void add_options(Command command);
  // --url alone.
  void add_url(Command command);
  [[nodiscard]] auto json() const -> bool { return json_; }
  [[nodiscard]] auto url() const -> const std::string& { return url_; }

  // What a request came to, where it is nothing good: for complain().
  struct Problem {
    std::string message;
    int code = 0;
  };
  struct Answer {
    std::string text;
    Json json;  // discarded if the text is none
  };
  // A 2xx answer.
  auto fetch(const std::string& method, const std::string& path, const Json& body) const
      -> tl::expected<Answer, Problem>;
  // Asks, and hands a 2xx answer to `show`, which may throw Json::exception at what is not in it; prints
  // what else happened. Returns the exit code. Without
  // `print` a good answer is thrown away.
  auto ask(const std::string& method, const std::string& path, const Json& body,
           const std::function<void(const Json&)>& show, bool print = true) const -> int;
  [[nodiscard]] auto client() const -> Result<api::Client>;

 private:
  std::string url_ = "http://localhost:8474";
  bool json_ = false;
};

// What of the command line goes into a request; null is no body. An error if it is not UTF-8.
[[nodiscard]] auto body_text(const Json& body) -> Result<std::string>;
// The complaint about an answer that no weir gives.
[[nodiscard]] auto not_weir(const std::string& url) -> std::string;
// Columns as wide as their widest cell; on a pipe, cells with tabs between. What is wider than the terminal stands in
// several lines a row, each with the next columns, further lines two blanks in.
[[nodiscard]] auto table_text(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows)
    -> std::string;
void print_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);
// One line of JSON.
void print_json(const Json& value);
// "key=value" words as an object of texts; numbers, true and false as such. The error names the word.
[[nodiscard]] auto parse_pairs(const std::vector<std::string>& words) -> Result<Json>;
// A value without the quotes of a text, safe on a terminal: control and format characters are "?", such as those that
// turn the direction of what follows.
[[nodiscard]] auto bare(const Json& value) -> std::string;

}  // namespace weir::cli
