#include "control/observers.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/duration.h"

namespace weir::control {
namespace {

// Takes what a parser made of a field, or its error.
template <class T, class U>
void take(StrictFields& fields, const char* key, Result<T> parsed, U& where) {
  if (parsed) {
    where = *std::move(parsed);
  } else {
    fields.wrong(key, parsed.error().message);
  }
}

auto open_output(const ObserverRule& rule) -> Result<Fd> {
  if (rule.output == "stdout") return Fd(::dup(STDOUT_FILENO));
  auto file = view::open_for_writing(rule.output, O_APPEND, 0640);
  if (!file) return failure(fmt::format("observers: {}: {}", rule.output, file.error().message), file.error().code);
  return file;
}

}  // namespace

void ProxyNames::add(ProxyId id, const std::string& name) {
  const std::lock_guard lock(mutex_);
  names_[id] = name;
}

void ProxyNames::remove(ProxyId id) {
  const std::lock_guard lock(mutex_);
  gone_.push_back(id);
  if (gone_.size() <= gone_remembered) return;
  names_.erase(gone_.front());
  gone_.pop_front();
}

auto ProxyNames::name(ProxyId id) const -> std::string {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(id);
  return found == names_.end() ? std::string() : found->second;
}

auto ObserverRule::operator==(const ObserverRule& other) const -> bool {
  return view.kind == other.view.kind && view.only == other.view.only && view.limit == other.view.limit &&
         view.filter.client == other.view.filter.client && output == other.output && proxies == other.proxies &&
         when_slow == other.when_slow;
}

auto read_observer(const Json& object, const std::string& path) -> tl::expected<ObserverRule, FieldError> {
  StrictFields fields(object, path, {"show", "output", "proxies", "only", "limit", "filter_client", "when_slow"});
  ObserverRule rule;
  const auto show = fields.text("show").value_or("json");
  take(fields, "show", view::parse_view_kind(show), rule.view.kind);
  rule.output = fields.text("output").value_or("");
  if (rule.output.empty()) fields.wrong("output", "write the file that it goes to, or stdout");
  rule.effective = {{"show", show}, {"output", rule.output}};
  if (const auto only = fields.text("only")) {
    take(fields, "only", view::parse_direction(*only), rule.view.only);
    rule.effective["only"] = *only;
  }
  if (const auto limit = fields.text("limit")) {
    take(fields, "limit", parse_size(*limit), rule.view.limit);
    rule.effective["limit"] = *limit;
  }
  if (const auto filter = fields.text("filter_client")) {
    take(fields, "filter_client", ClientFilter::parse(*filter), rule.view.filter.client);
    rule.effective["filter_client"] = *filter;
  }
  const auto when_slow = fields.text("when_slow").value_or("drop");
  take(fields, "when_slow", view::parse_full_policy(when_slow), rule.when_slow);
  rule.effective["when_slow"] = when_slow;
  const Json* proxies = fields.list("proxies");
  Json names = Json::array();
  for (std::size_t i = 0; proxies != nullptr && i < proxies->size(); ++i) {
    if (!(*proxies)[i].is_string()) fields.wrong("proxies", "write the names of proxies");
    if (!(*proxies)[i].is_string()) break;
    rule.proxies.push_back((*proxies)[i].get<std::string>());
    names.push_back(rule.proxies.back());
  }
  rule.effective["proxies"] = std::move(names);
  if (fields.error()) return tl::make_unexpected(*fields.error());
  return rule;
}

auto add_observers(const std::vector<ObserverRule>& rules, engine::Engine& engine, const ProxyNames& names)
    -> Result<std::vector<ObserverOutput>> {
  std::vector<ObserverOutput> outputs;
  for (const ObserverRule& rule : rules) {
    auto file = open_output(rule);
    if (!file) return tl::make_unexpected(file.error());
    auto output = std::make_unique<view::Output>(file->get());
    view::ViewOptions options = rule.view;
    options.name_of = [&names](ProxyId id) { return names.name(id); };
    if (view::required_events(options) != 0) {
      engine::ObserverSpec spec{.observer = view::make_view(options, *output),
                                .ring = view::ring_options(options, rule.when_slow),
                                .wants = {}};
      if (!rule.proxies.empty()) {
        spec.wants = [wanted = rule.proxies](std::string_view name) {
          return std::ranges::find(wanted, name) != wanted.end();
        };
      }
      if (auto attached = engine.attach(std::move(spec)); !attached) return tl::make_unexpected(attached.error());
    }
    outputs.push_back({.file = *std::move(file), .output = std::move(output)});
  }
  return outputs;
}

}  // namespace weir::control
