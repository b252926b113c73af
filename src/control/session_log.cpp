#include "control/session_log.h"

#include <fmt/format.h>

#include <vector>

namespace weir::control {
namespace {

auto text_of(const Json& data, const char* name) -> std::string {
  const auto found = data.find(name);
  return found != data.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

void SessionLog::write(const SessionWatch::Item& item, const Json& data) {
  if (log_.wants(LogLevel::debug)) write_all_of_it(item.type, data);
  if (item.upstream_unreached && log_.wants(LogLevel::warning)) write_unreached(item.proxy, data);
}

void SessionLog::write_all_of_it(const std::string& type, const Json& data) {
  std::vector<std::string> values;
  values.reserve(data.size());
  std::vector<LogField> fields;
  for (const auto& [name, value] : data.items()) {
    if (name == "time" || value.is_null()) continue;
    values.push_back(value.is_string() ? value.get<std::string>() : value.dump());
    fields.push_back({name, values.back()});
  }
  log_.write(LogLevel::debug, type, fields);
}

void SessionLog::write_unreached(ProxyId proxy, const Json& data) {
  const MonoTime now = clock_.mono();
  if (said_.size() >= most_remembered) {
    std::erase_if(said_, [&](const auto& each) { return now >= each.second.at + quiet_for; });
  }
  const auto [said, is_first] = said_.try_emplace(proxy, Said{now});
  if (!is_first && now < said->second.at + quiet_for) {  // mutant: log-repeats-each-failure
    ++said->second.unsaid;                               // mutant: log-forgets-what-it-did-not-say
    return;
  }
  const std::uint64_t unsaid = said->second.unsaid;
  said->second = {.at = now, .unsaid = 0};
  std::string text = "the upstream cannot be reached";
  const std::string cause = text_of(data, "cause");
  const std::string detail = text_of(data, "detail");
  if (!detail.empty()) text += ": " + detail;
  if (unsaid > 0) text += fmt::format("; nor could {} sessions since the last such line", unsaid);
  log_.warning(text, {{"proxy", text_of(data, "proxy")}, {"cause", cause}});
}

}  // namespace weir::control
