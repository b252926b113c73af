#include "api/toxiproxy_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "api/go_address.h"
#include "control/registry.h"

namespace weir::api {
namespace {

// toxiproxy keeps a float32 and prints the shortest text that reads back to it: 0.2, 1.
auto toxicity_json(double value) -> Json {
  if (std::floor(value) == value && std::abs(value) < 1e9) return static_cast<std::int64_t>(value);
  std::array<char, 64> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size() - 1, static_cast<float>(value));
  return std::strtod(std::string(text.data(), end).c_str(), nullptr);
}

}  // namespace

namespace {

// Every event and every list repeats them. toxiproxy has no limit, and nobody a use for more.
auto check_lengths(std::initializer_list<const std::optional<std::string>*> texts) -> Result<void> {
  constexpr std::size_t most = 1024;
  const bool good = std::ranges::all_of(texts, [](const auto* each) { return !*each || (*each)->size() <= most; });
  return good ? Result<void>() : failure(fmt::format("a text is longer than {} bytes", most));
}

}  // namespace

auto read_proxy(const Json& body) -> Result<ProxyInput> {
  GoFields fields(body, "Proxy");
  ProxyInput input{.name = fields.text("name"),
                   .listen = fields.text("listen"),
                   .upstream = fields.text("upstream"),
                   .enabled = fields.flag("enabled")};
  if (!fields.error().empty()) return failure(fields.error());
  if (auto good = check_lengths({&input.name, &input.listen, &input.upstream}); !good)
    return tl::make_unexpected(good.error());
  return input;
}

auto check_proxies(const Json& body) -> Result<void> {
  if (body.is_null() || body.is_array()) return {};
  return failure(
      fmt::format("bad request body: json: cannot unmarshal {} into Go value of type []Proxy", go_kind(body)));
}

auto check_required(const ProxyInput& input, std::size_t at) -> Result<void> {
  const auto missing = [&](std::string_view field) {
    return failure(fmt::format("missing required field: {} at proxy {}", field, at + 1));
  };
  if (input.name.value_or("").empty()) return missing("name");
  if (input.upstream.value_or("").empty()) return missing("upstream");
  return {};
}

auto read_proxies(const Json& body) -> Result<std::vector<ProxyInput>> {
  if (auto good = check_proxies(body); !good) return tl::make_unexpected(good.error());
  std::vector<ProxyInput> inputs;
  for (const Json& each : body) {
    auto input = read_proxy(each);
    if (!input) return failure("bad request body: " + input.error().message);
    inputs.push_back(*std::move(input));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (auto good = check_required(inputs[i], i); !good) return tl::make_unexpected(good.error());
  }
  return inputs;
}

auto make_rules(const ProxyInput& input) -> Result<proxy::ProxyRules> {
  proxy::ProxyRules rules;
  rules.enabled = input.enabled.value_or(true);
  rules.upstream = parse_go_upstream(input.upstream.value_or(""));
  rules.on_connect_failure = proxy::OnConnectFailure::close;
  auto listen = parse_go_listen(input.listen.value_or(""));
  if (!listen) return tl::make_unexpected(listen.error());
  rules.listen = *std::move(listen);
  return rules;
}

auto as_toxiproxy(const Refusal& why) -> ToxiproxyError {
  switch (why.kind) {
    case control::RefusalKind::cannot_listen:
      return {.status = 500,
              .message = why.listen ? go_listen_error(*why.listen, {why.message, why.code}) : why.message};
    case control::RefusalKind::not_found: return {.status = 404, .message = why.message};
    case control::RefusalKind::too_many: return {.status = 409, .message = why.message};
    case control::RefusalKind::conflict:
      return {.status = 409, .message = why.field == "name" ? "proxy already exists" : why.message};
  }
  return {.status = 500, .message = why.message};
}

auto read_toxic(const Json& body) -> Result<ToxicInput> {
  GoFields fields(body, "ToxicWrapper");
  ToxicInput input{.name = fields.text("name"),
                   .type = fields.text("type"),
                   .stream = fields.text("stream"),
                   .toxicity = fields.number("toxicity"),
                   .attributes = fields.value("attributes")};
  if (!fields.error().empty()) return failure(fields.error());
  if (auto good = check_lengths({&input.name, &input.type, &input.stream}); !good)
    return tl::make_unexpected(good.error());
  return input;
}

auto parse_stream(std::string_view text) -> std::optional<Direction> {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (lower == "upstream") return Direction::upstream;
  if (lower == "downstream") return Direction::downstream;
  return std::nullopt;
}

auto set_attributes(fault::FaultSpec& spec, const Json& attributes) -> Result<void> {
  GoFields fields(attributes, std::string(spec.type->type));
  for (const auto& attribute : spec.type->attributes) {
    if (attribute.classic_unit == 0) continue;
    const auto value = fields.integer(attribute.name);
    if (!value) continue;
    if (auto set = fault::set_classic(spec, attribute.name, *value); !set) return tl::make_unexpected(set.error());
  }
  if (!fields.error().empty()) return failure("bad request body: " + fields.error());
  if (auto good = fault::check_fault(spec); !good) return tl::make_unexpected(good.error());
  return {};
}

auto toxiproxy_toxic(const ProxyEntry& entry, const fault::FaultSpec& spec) -> Json {
  const auto stream = entry.stream_texts.find(spec.name);
  return toxiproxy_toxic(spec, fault::classic_attributes(spec).value_or(ClassicAttributes()),
                         stream == entry.stream_texts.end() ? std::string() : stream->second);
}

auto toxiproxy_toxic(const fault::FaultSpec& spec, const ClassicAttributes& attributes, const std::string& stream)
    -> Json {
  Json values = Json::object();
  for (const auto& [name, value] : attributes) values[std::string(name)] = value;
  return {{"attributes", std::move(values)},
          {"name", spec.name},
          {"type", spec.type->type},
          {"stream", stream.empty() ? std::string(to_string(spec.direction)) : stream},
          {"toxicity", toxicity_json(spec.probability)}};
}

auto toxiproxy_toxics(const ProxyEntry& entry) -> Json {
  Json all = Json::array();
  for (const auto direction : {fault::FaultDirection::upstream, fault::FaultDirection::downstream}) {
    for (const auto& spec : entry.faults->entries()) {
      if (spec->direction == direction && fault::classic_attributes(*spec))
        all.push_back(toxiproxy_toxic(entry, *spec));
    }
  }
  return all;
}

auto hidden_faults(const ProxyEntry& entry) -> std::size_t {
  return static_cast<std::size_t>(std::ranges::count_if(
      entry.faults->entries(), [](const auto& spec) { return !fault::classic_attributes(*spec).has_value(); }));
}

auto toxiproxy_proxy(const ProxyEntry& entry) -> Json {
  Json out = toxiproxy_without_toxics(entry);
  out["toxics"] = toxiproxy_toxics(entry);
  return out;
}

auto toxiproxy_without_toxics(const ProxyEntry& entry) -> Json {
  return {{"name", entry.name},
          {"listen", entry.listen},
          {"upstream", entry.rules.upstream.text},
          {"enabled", entry.listening}};
}

}  // namespace weir::api
