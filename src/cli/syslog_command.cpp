#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "syslog/framing.h"
#include "syslog/message.h"

namespace weir::cli {
namespace {

using Json = nlohmann::ordered_json;

auto run_pri(const std::string& text) -> int {
  const auto pri = syslog::Pri::parse(text);
  if (!pri) return complain("PRI: " + pri.error().message, exit_usage);
  const bool number = text.find_first_not_of("<>0123456789") == std::string::npos;
  std::puts(number ? pri->to_string().c_str() : std::to_string(pri->number()).c_str());
  return exit_ok;
}

auto to_json(const syslog::Message& message, const syslog::Frame& frame) -> Json {
  Json out{{"pri", message.pri.number()},
           {"facility", syslog::to_string(message.pri.facility)},
           {"severity", syslog::to_string(message.pri.severity)},
           {"form", syslog::to_string(message.form)},
           {"framing", syslog::to_string(frame.framing)}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  add("timestamp", message.timestamp);
  add("host", message.host);
  add("app", message.app);
  add("procid", message.procid);
  add("msgid", message.msgid);
  if (!message.data.empty()) {
    Json data = Json::array();
    for (const auto& element : message.data) {
      Json params = Json::array();
      for (const auto& param : element.params) params.push_back({{"name", param.name}, {"value", param.value}});
      data.push_back({{"id", element.id}, {"params", std::move(params)}});
    }
    out["data"] = std::move(data);
  }
  if (message.bom) out["bom"] = true;
  out["text"] = message.text;
  Json anomalies = Json::array();
  for (const auto anomaly : message.anomalies) anomalies.push_back(syslog::to_string(anomaly));
  if (frame.cut) anomalies.push_back("cut: longer than 64 KiB");
  if (!anomalies.empty()) out["anomalies"] = std::move(anomalies);
  return out;
}

// Fields are a peer's bytes: JSON's escapes keep a terminal safe from them.
auto quoted(const Json& value) -> std::string { return value.dump(-1, ' ', true, Json::error_handler_t::replace); }

void print(const syslog::Frame& frame, bool json) {
  const Json fields = to_json(syslog::parse(frame.text), frame);
  std::string line;
  if (json) {
    line = quoted(fields);
  } else {
    for (const auto& [name, value] : fields.items()) {
      const bool bare = value.is_number() || (value.is_string() && name != "text");
      line += (line.empty() ? "" : " ") + name + "=";
      const std::string text = quoted(value);
      const bool plain = bare && text.find_first_of(" \\") == std::string::npos && text.front() == '"';
      line += plain ? text.substr(1, text.size() - 2) : text;
    }
  }
  std::puts(line.c_str());
}

auto run_parse(bool json) -> int {
  syslog::FrameReader reader;
  std::array<char, 16384> buffer{};
  while (true) {
    const auto n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return complain("reading standard input failed: " + errno_text(errno), exit_failure);
    if (n == 0) break;
    reader.add(std::string_view(buffer.data(), static_cast<std::size_t>(n)));
    while (const auto frame = reader.next()) print(*frame, json);
    std::fflush(stdout);
  }
  while (const auto frame = reader.rest()) print(*frame, json);
  return std::fflush(stdout) == 0 ? exit_ok : complain("writing standard output failed", exit_failure);
}

}  // namespace

void add_syslog(Command app, int& exit_code) {
  Command syslog = app.add_subcommand("syslog", "Read and explain syslog messages and priorities");
  syslog.require_subcommand();

  auto text = std::make_shared<std::string>();
  Command pri = syslog.add_subcommand("pri", "Turn a priority into its number, or a number into its name");
  pri.add_option("PRI", *text, "local3.info, or a number from 0 to 191").required();
  pri.callback([text, &exit_code] { exit_code = run_pri(*text); });

  auto json = std::make_shared<bool>(false);
  Command parse = syslog.add_subcommand("parse", "Read messages from standard input and print their fields");
  parse.add_flag("--json", *json, "One JSON object per message");
  parse.footer(
      "Understands RFC 5424, RFC 3164 and what is neither; lines, and counted messages as TCP senders frame them. What "
      "is malformed is told, never fatal.\n"
      "\nExamples:\n"
      "  weir syslog parse --json < messages    one object per message\n"
      "  weir syslog pri local3.info            158");
  parse.callback([json, &exit_code] { exit_code = run_parse(*json); });
}

}  // namespace weir::cli
