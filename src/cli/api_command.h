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
// Columns as wide as their widest cell; on a pipe, cells with tabs between.
void print_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);
// One line of JSON.
void print_json(const Json& value);
// "key=value" words as an object of texts; numbers, true and false as such. The error names the word.
[[nodiscard]] auto parse_pairs(const std::vector<std::string>& words) -> Result<Json>;
// A value without the quotes of a text.
[[nodiscard]] auto bare(const Json& value) -> std::string;

}  // namespace weir::cli
