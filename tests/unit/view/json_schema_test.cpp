// docs/json-view.schema.json and docs/json-view.md against what the program prints.
#include <gtest/gtest.h>
#include <regex.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "view/scene.h"

namespace weir::view {
namespace {

using nlohmann::json;

auto file_text(const std::string& name) -> std::string {
  std::ifstream file(WEIR_DOCS_DIR "/" + name);
  EXPECT_TRUE(file) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// By regex(3), as g++ 12 with sanitizers warns inside of its own std::regex. The schema's patterns mean
// the same to ECMAScript and to POSIX.
auto matches(const std::string& text, const std::string& pattern) -> bool {
  regex_t compiled{};
  EXPECT_EQ(::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB), 0) << pattern;
  const bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found;
}

// As much of JSON Schema 2020-12 as the file uses, and one rule more: every field must be documented.
class Schema {
 public:
  Schema() : root_(json::parse(file_text("json-view.schema.json"))) {}

  [[nodiscard]] auto root() const -> const json& { return root_; }
  [[nodiscard]] auto problem(const json& value) const -> std::string { return problem(root_, value, "line"); }

 private:
  [[nodiscard]] auto problem(const json& rule, const json& value, const std::string& at) const -> std::string {
    for (const auto& [keyword, wanted] : rule.items()) {
      if (auto text = keyword_problem(keyword, wanted, value, at); !text.empty()) return text;
    }
    return "";
  }

  [[nodiscard]] auto keyword_problem(const std::string& keyword, const json& wanted, const json& value,
                                     const std::string& at) const -> std::string {
    static const std::set<std::string> says_nothing{"$schema", "$id", "$defs", "title", "description"};
    if (says_nothing.contains(keyword)) return "";
    if (keyword == "$ref") {
      const std::string pointer = wanted;
      return problem(root_.at(json::json_pointer(pointer.substr(1))), value, at);
    }
    if (keyword == "oneOf") return one_of(wanted, value, at);
    if (keyword == "properties") return properties(wanted, value, at);
    if (keyword == "required") {
      for (const std::string name : wanted) {
        if (!value.contains(name)) return at + " lacks " + name;
      }
      return "";
    }
    bool good = false;
    if (keyword == "type") {
      good = (wanted == "object" && value.is_object()) || (wanted == "string" && value.is_string()) ||
             (wanted == "integer" && value.is_number_integer());
    } else if (keyword == "const") {
      good = value == wanted;
    } else if (keyword == "enum") {
      good = std::find(wanted.begin(), wanted.end(), value) != wanted.end();
    } else if (keyword == "minimum") {
      good = value.is_number() && value >= wanted;
    } else if (keyword == "pattern") {
      good = value.is_string() && matches(value, wanted);
    } else {
      return "this test does not know the keyword " + keyword;
    }
    return good ? "" : at + " = " + value.dump() + " fails " + keyword + " " + wanted.dump();
  }

  [[nodiscard]] auto one_of(const json& wanted, const json& value, const std::string& at) const -> std::string {
    int fitting = 0;
    std::string problems;
    for (const json& rule : wanted) {
      const std::string text = problem(rule, value, at);
      if (text.empty()) ++fitting;
      problems += "; " + text;
    }
    return fitting == 1 ? "" : at + " matches " + std::to_string(fitting) + " of the forms" + problems;
  }

  [[nodiscard]] auto properties(const json& wanted, const json& value, const std::string& at) const -> std::string {
    for (const auto& [name, field] : value.items()) {
      if (!wanted.contains(name)) return at + "." + name + " is not documented";
      if (auto text = problem(wanted[name], field, at + "." + name); !text.empty()) return text;
    }
    return "";
  }

  json root_;
};

// Every kind of line with every field, and with none that may be left out.
void say_everything(Scene& scene) {
  scene.opened(1);
  scene.opened(2, unix_socket("/run/\x1b odd \"path"));
  scene.opened(3, ip("::1", 5));
  scene.up(1, "text");
  scene.up(1, "longer than the limit");
  scene.down(1, "\xff");
  scene.down(1, "\xff\xfe longer than the limit");
  scene.down(1, "");
  event::ChunkRead read;
  read.kernel_time = MonoTime{999s};
  scene.tell(1, read);
  scene.half_closed(1, Direction::upstream);
  scene.half_closed(1, Direction::downstream, "cut");
  scene.verdict(1, {.exchange = 2,
                    .begin = MonoTime{999s},
                    .length = 41ms,
                    .cause = "split_write",
                    .side = "client",
                    .certainty = "shown",
                    .who = "client 127.0.0.1",
                    .text = "writes \x1b in two",
                    .fix = "one write",
                    .evidence = {{"cut", 128}, {"gap_ns", 41'000'000}}});
  scene.closed(4, refused());
  auto end = server_fin();
  end.detail = "why";
  end.cause = {.reason = event::CloseReason::timeout,
               .timeout = event::TimeoutName::first_byte_server,
               .leg = LegName::server,
               .after = 5s};
  scene.closed(1, end);
  scene.gap({.chunks = 1, .bytes = 2, .events = 3, .error = ENOSPC});
}

auto everything() -> std::vector<json> {
  std::vector<json> lines;
  for (const bool several : {false, true}) {
    ViewOptions options{.kind = ViewKind::json, .limit = 6};
    if (several) options.proxies = {"db", "cache"};
    Scene scene(options);
    say_everything(scene);
    std::istringstream text(scene.printed());
    for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  }
  return lines;
}

TEST(JsonSchema, HoldsForEveryLine) {
  const Schema schema;
  const auto lines = everything();
  ASSERT_EQ(lines.size(), 30u);
  for (const json& line : lines) EXPECT_EQ(schema.problem(line), "");
}

TEST(JsonSchema, RefusesLinesThatBreakIt) {
  const Schema schema;
  const json good = everything().front();
  ASSERT_EQ(schema.problem(good), "");
  const auto broken = [&](auto change) {
    json line = good;
    change(line);
    return schema.problem(line);
  };
  EXPECT_NE(broken([](json& line) { line["surprise"] = 1; }), "");
  EXPECT_NE(broken([](json& line) { line.erase("client"); }), "");
  EXPECT_NE(broken([](json& line) { line["event"] = "closed"; }), "");
  EXPECT_NE(broken([](json& line) { line["session"] = 0; }), "");
  EXPECT_NE(broken([](json& line) { line["time"] = "2023-11-14 22:13:20"; }), "");
  EXPECT_NE(broken([](json& line) { line["connect_ns"] = "412us"; }), "");
  EXPECT_NE(broken([](json& line) { line["client"] = "127.0.0.1"; }), "");
}

TEST(JsonSchema, NamesNoFieldThatIsNeverPrinted) {
  const Schema schema;
  std::map<std::string, std::set<std::string>> printed;
  for (const json& line : everything()) {
    for (const auto& [name, value] : line.items()) printed[line["event"]].insert(name);
  }
  for (const json& form : schema.root()["oneOf"]) {
    const std::string event = form["$ref"].get<std::string>().substr("#/$defs/"s.size());
    std::set<std::string> named;
    for (const auto& [name, rule] : schema.root()["$defs"][event]["properties"].items()) named.insert(name);
    EXPECT_EQ(printed[event], named) << event;
  }
}

// The page has a section a kind, "## `name`...", with a table row a field, "| `field` | type | ...".
TEST(JsonPage, DescribesTheFieldsOfTheSchema) {
  const Schema schema;
  const std::string page = file_text("json-view.md");
  const auto fields_of = [&](const std::string& heading) {
    const auto begin = page.find("\n## " + heading);
    EXPECT_NE(begin, std::string::npos) << heading;
    const std::string section = page.substr(begin, page.find("\n## ", begin + 1) - begin);
    std::set<std::string> fields;
    std::istringstream rows(section);
    for (std::string row; std::getline(rows, row);) {
      if (row.starts_with("| `")) fields.insert(row.substr(3, row.find('`', 3) - 3));
    }
    return fields;
  };
  const auto common = fields_of("In every line");
  for (const json& form : schema.root()["oneOf"]) {
    const std::string event = form["$ref"].get<std::string>().substr("#/$defs/"s.size());
    auto described = fields_of("`" + event + "`");
    for (const auto& [name, rule] : schema.root()["$defs"][event]["properties"].items()) {
      const bool found = described.erase(name) == 1 || common.contains(name);
      EXPECT_TRUE(found) << event << "." << name;
    }
    EXPECT_TRUE(described.empty()) << event << "." << *described.begin() << " is not in the schema";
  }
}

}  // namespace
}  // namespace weir::view
