#include "cli/why_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <utility>

#include "base/duration.h"

namespace weir::cli {
namespace {

// What an exchange loses to a cause on a side, on average.
struct Change {
  std::string cause;
  std::string side;
  Nanos before{};
  Nanos now{};
  [[nodiscard]] auto size() const -> Nanos { return before > now ? before - now : now - before; }
};

auto each(Nanos whole, std::uint64_t exchanges) -> Nanos {
  return exchanges == 0 ? Nanos{} : whole / static_cast<std::int64_t>(std::min<std::uint64_t>(exchanges, INT64_MAX));
}

// A number of nanoseconds or a count, from 0.
auto number_in(const Json& object, const char* name, const std::string& where) -> Result<std::uint64_t> {
  const auto found = object.find(name);
  if (found == object.end()) return failure(fmt::format("{} has no \"{}\"", where, name));
  if (!found->is_number_unsigned() || found->get<std::uint64_t>() > INT64_MAX) {
    return failure(fmt::format("\"{}\" of {} is not a number from 0 to 2^63", name, where));
  }
  return found->get<std::uint64_t>();
}

auto text_in(const Json& object, const char* name, const std::string& where) -> Result<std::string> {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) {
    return failure(fmt::format("{} has no \"{}\", a text", where, name));
  }
  return found->get<std::string>();
}

auto read_causes(const Json& json, const std::string& where) -> Result<std::vector<EarlierReport::Cause>> {
  const auto causes = json.find("causes");
  if (causes == json.end() || !causes->is_array()) return failure(where + " has no \"causes\", a list");
  std::vector<EarlierReport::Cause> read;
  for (const Json& each : *causes) {
    const std::string place = fmt::format("causes[{}] of {}", read.size(), where);
    if (!each.is_object()) return failure(place + " is not an object");
    auto cause = text_in(each, "cause", place);
    if (!cause) return tl::make_unexpected(cause.error());
    auto side = text_in(each, "side", place);
    if (!side) return tl::make_unexpected(side.error());
    const auto lost = number_in(each, "lost_ns", place);
    if (!lost) return tl::make_unexpected(lost.error());
    read.push_back({*std::move(cause), *std::move(side), Nanos{static_cast<std::int64_t>(*lost)}});
  }
  return read;
}

auto changes_of(const EarlierReport& before, const diagnose::Report& now) -> std::vector<Change> {
  std::map<std::pair<std::string, std::string>, Change> by_cause;
  const auto change = [&by_cause](const std::string& cause, const std::string& side) -> Change& {
    Change& found = by_cause[{cause, side}];
    found.cause = cause;
    found.side = side;
    return found;
  };
  for (const auto& sum : before.causes) change(sum.cause, sum.side).before += each(sum.lost, before.exchanges);
  for (const auto& sum : now.causes) {
    change(std::string(sum.cause->name), std::string(to_string(sum.side))).now += each(sum.lost, now.exchanges);
  }
  std::vector<Change> changes;
  changes.reserve(by_cause.size());
  for (auto& [key, each] : by_cause) changes.push_back(std::move(each));
  std::ranges::stable_sort(changes, [](const Change& a, const Change& b) { return a.size() > b.size(); });
  return changes;
}

auto told(Nanos time) -> std::string { return time == Nanos{} ? "-" : format_duration(time); }

// Of names that a file gave.
auto printable(std::string text) -> std::string {
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

}  // namespace

auto read_earlier_report(const std::string& file) -> Result<EarlierReport> {
  constexpr std::size_t most = 64 << 20;
  std::ifstream in(file, std::ios::binary);
  if (!in) return failure(fmt::format("{} cannot be read: {}", file, std::strerror(errno)));
  std::string text;
  text.resize(most + 1);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return failure(fmt::format("{} cannot be read: {}", file, std::strerror(errno)));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > most) return failure(fmt::format("{} is too large for a report of weir why --json", file));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return failure(fmt::format("{} is no JSON object: weir why --json writes one", file));
  EarlierReport report{.file = file, .exchanges = 0, .exchange_time = {}, .causes = {}};
  const auto exchanges = number_in(json, "exchanges", file);
  if (!exchanges) return tl::make_unexpected(exchanges.error());
  report.exchanges = *exchanges;
  const auto time = number_in(json, "exchange_ns", file);
  if (!time) return tl::make_unexpected(time.error());
  report.exchange_time = Nanos{static_cast<std::int64_t>(*time)};
  auto causes = read_causes(json, file);
  if (!causes) return tl::make_unexpected(causes.error());
  report.causes = *std::move(causes);
  return report;
}

auto compare_lines(const EarlierReport& before, const diagnose::Report& now, std::size_t width)
    -> std::vector<std::string> {
  std::vector<std::string> lines;
  const auto add = [&](std::string line) {
    if (line.size() > width) line.resize(width);
    lines.push_back(std::move(line));
  };
  add(fmt::format("An exchange, on average, beside {}:", printable(before.file)));
  add(fmt::format("{:>10} {:>10}", "before", "now"));
  add(fmt::format("{:>10} {:>10}  in all", told(each(before.exchange_time, before.exchanges)),
                  told(each(now.exchange_time, now.exchanges))));
  for (const Change& change : changes_of(before, now)) {
    add(fmt::format("{:>10} {:>10}  {} ({})", told(change.before), told(change.now), printable(change.cause),
                    printable(change.side)));
  }
  return lines;
}

auto compare_json(const EarlierReport& before, const diagnose::Report& now) -> Json {
  Json causes = Json::array();
  for (const Change& change : changes_of(before, now)) {
    causes.push_back({{"cause", change.cause},
                      {"side", change.side},
                      {"before_ns", change.before.count()},
                      {"now_ns", change.now.count()}});
  }
  return {{"file", before.file},
          {"before_ns", each(before.exchange_time, before.exchanges).count()},
          {"now_ns", each(now.exchange_time, now.exchanges).count()},
          {"causes", std::move(causes)}};
}

}  // namespace weir::cli
