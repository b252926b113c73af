#include "control/observers.h"

#include <algorithm>
#include <cerrno>

#include "base/duration.h"

namespace weir::control {
namespace {

constexpr unsigned observer_mode = 0640;

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
  const bool is_stdout = rule.output == "stdout";
  auto file = is_stdout ? view::standard_output() : view::open_for_writing(rule.output, 0, observer_mode);
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
         rotate_size == other.rotate_size && rotate_every == other.rotate_every && when_slow == other.when_slow;
}

auto read_observer(const Json& object, const std::string& path) -> tl::expected<ObserverRule, FieldError> {
  StrictFields fields(
      object, path,
      {"show", "output", "proxies", "only", "limit", "filter_client", "when_slow", "rotate_size", "rotate_every"});
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
  if (const auto size = fields.text("rotate_size")) {
    take(fields, "rotate_size", parse_size(*size), rule.rotate_size);
    if (rule.rotate_size == 0) fields.wrong("rotate_size", "a file of 0 bytes holds nothing; write such as 100MiB");
    rule.effective["rotate_size"] = *size;
  }
  if (const auto every = fields.text("rotate_every")) {
    take(fields, "rotate_every", parse_duration(*every), rule.rotate_every);
    if (rule.rotate_every && *rule.rotate_every < std::chrono::seconds{1}) {
      fields.wrong("rotate_every", "write 1s or more, such as 1h");
    }
    rule.effective["rotate_every"] = *every;
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

auto add_observers(const std::vector<ObserverRule>& rules, engine::Engine& engine, const ProxyNames& names,
                   const std::function<void(LogLevel, const std::string&)>& say) -> Result<ObserverOutputs> {
  ObserverOutputs outputs;
  for (const ObserverRule& rule : rules) {
    auto file = open_output(rule);
    if (!file) return tl::make_unexpected(file.error());
    // It outlives what it serves: whatever its file meets, it comes back.
    view::OutputOptions how{.path = rule.output == "stdout" ? "" : rule.output,
                            .name = std::string(observer_prefix) + rule.output,
                            .mode = observer_mode,
                            .trouble = view::Trouble::passes,
                            .outlives_reader = true,
                            .lines = rule.view.kind != view::ViewKind::raw,
                            .rotate_size = rule.rotate_size,
                            .rotate_every = rule.rotate_every};
    how.say = say;
    auto& output = outputs.emplace_back(std::make_unique<view::Output>(*std::move(file), std::move(how)));
    view::ViewOptions options = rule.view;
    options.name_of = [&names](ProxyId id) { return names.name(id); };
    if (view::required_events(options) != 0) {
      engine::ObserverSpec spec{.observer = view::make_view(options, *output),
                                .ring = view::ring_options(options, rule.when_slow),
                                .wants = {},
                                .name = rule.output,
                                .way_out =
                                    "have its reader read on, or write when_slow = \"drop\" in its [[observers]] "
                                    "and start weir again"};
      if (!rule.proxies.empty()) {
        spec.wants = [wanted = rule.proxies](std::string_view name) {
          return std::ranges::find(wanted, name) != wanted.end();
        };
      }
      if (auto attached = engine.attach(std::move(spec)); !attached) return tl::make_unexpected(attached.error());
    }
  }
  return outputs;
}

}  // namespace weir::control
