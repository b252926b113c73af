#include "syslog/target_log.h"

#include <algorithm>
#include <system_error>
#include <thread>

#include "base/out_of_memory.h"
#include "syslog/log_output.h"

namespace weir::syslog {

auto LogSettings::parse_targets(const std::vector<std::string>& texts) -> Result<std::vector<Target>> {
  std::vector<Target> targets;
  for (const std::string& text : texts) {
    auto target = Target::parse(text);
    if (!target) return tl::make_unexpected(target.error());
    const auto same = [&](const Target& each) { return each.text == text; };
    if (std::any_of(targets.begin(), targets.end(), same))
      return failure(fmt::format("\"{}\" stands here twice", text));
    targets.push_back(*std::move(target));
  }
  return targets;
}

auto settle(const LogChoice& first, const LogChoice& second, bool quiet) -> LogSettings {
  LogSettings settings;
  settings.level = first.level.value_or(second.level.value_or(settings.level));
  settings.format = first.format.value_or(second.format.value_or(settings.format));
  settings.targets = first.targets.value_or(second.targets.value_or(settings.targets));
  for (auto& target : settings.targets) {
    if (quiet && target.transport == Transport::standard_error) target.least = Severity::err;
  }
  return settings;
}

auto TargetLog::configure(const LogSettings& settings) -> Result<void> {
  for (const Target& target : settings.targets) {
    if (auto checked = check_target(target); !checked) return checked;
  }
  std::vector<std::shared_ptr<LogSink>> before;
  {
    const std::lock_guard lock(mutex_);
    before = sinks_;
  }
  const LineStyle style{.format = settings.format, .with_time = settings.with_time};
  std::vector<std::shared_ptr<LogSink>> after;
  for (const Target& target : settings.targets) {
    const auto kept = std::find_if(before.begin(), before.end(), [&](const auto& sink) {
      return sink->target().text == target.text && sink->target().least == target.least && sink->style() == style;
    });
    try {
      after.push_back(kept != before.end() ? *kept : std::make_shared<LogSink>(target, style, clock_));
    } catch (const std::system_error& error) {
      return failure(fmt::format("{}: there is no thread for it: {}; raise the limit (ulimit -u or -v, pids.max)",
                                 target.text, errno_text(error.code().value())),
                     error.code().value());
    }
  }
  {
    const std::lock_guard lock(mutex_);
    settings_ = settings;
    sinks_ = after;
  }
  std::erase_if(before, [&](const auto& sink) { return std::find(after.begin(), after.end(), sink) != after.end(); });
  // A sink's end waits for what it holds to get out, which is not for our caller to do.
  if (before.empty()) return {};
  try {
    std::thread([ended = std::move(before)] {}).detach();
  } catch (const std::system_error&) {
    // No thread waits for it, so we have: they have ended with what the thread was to be given.
  }
  return {};
}

// A message is the least that may be lost: whoever wrote it goes on.
void TargetLog::write(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  if (contained([&] { queue(level, message, fields); })) return;
  const std::lock_guard lock(mutex_);
  for (const auto& sink : sinks_) {
    if (level >= settings_.level && sink->target().takes(level)) sink->count_lost(1);
  }
}

void TargetLog::queue(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  std::vector<std::shared_ptr<LogSink>> sinks;
  {
    const std::lock_guard lock(mutex_);
    if (level < settings_.level) return;
    sinks = sinks_;
  }
  LogRecord record{.time = clock_.wall(), .level = level, .message = std::string(message), .fields = {}};
  for (const LogField& field : fields) record.fields.emplace_back(field.name, field.value);
  for (const auto& sink : sinks) {
    if (sink->target().takes(level)) sink->push(record);
  }
}

auto TargetLog::wants(LogLevel level) const -> bool {
  const std::lock_guard lock(mutex_);
  return level >= settings_.level &&
         std::any_of(sinks_.begin(), sinks_.end(), [&](const auto& sink) { return sink->target().takes(level); });
}

void TargetLog::reopen() {
  const std::lock_guard lock(mutex_);
  for (const auto& sink : sinks_) {
    if (sink->target().transport == Transport::file) sink->reopen();
  }
}

void TargetLog::flush(Nanos patience) {
  std::vector<std::shared_ptr<LogSink>> sinks;
  {
    const std::lock_guard lock(mutex_);
    sinks = sinks_;
  }
  const MonoTime deadline = clock_.mono() + patience;
  for (const auto& sink : sinks) sink->flush(std::max(deadline - clock_.mono(), Nanos{0}));
}

auto TargetLog::status() const -> std::vector<SinkStatus> {
  const std::lock_guard lock(mutex_);
  std::vector<SinkStatus> all;
  for (const auto& sink : sinks_) all.push_back(sink->status());
  return all;
}

auto TargetLog::settings() const -> LogSettings {
  const std::lock_guard lock(mutex_);
  return settings_;
}

}  // namespace weir::syslog
