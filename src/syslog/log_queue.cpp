#include "syslog/log_queue.h"

#include <fmt/format.h>

namespace weir::syslog {

auto LogQueue::drop_notice() -> LogRecord {
  const auto count = std::to_string(untold_);
  LogRecord notice{.time = clock_.wall(),
                   .level = LogLevel::warning,
                   .message = fmt::format("{} log messages were dropped here, as this target did not take them", count),
                   .fields = {{"dropped", count}},
                   .tells_of_drops = true};
  untold_ = 0;  // once it is made
  return notice;
}

void LogQueue::push(LogRecord record) {
  const std::lock_guard lock(mutex_);
  const std::size_t bytes = record.size();
  if (records_.size() >= most_messages_ || bytes_ + bytes > most_bytes_) {
    ++dropped_;
    ++untold_;
    return;
  }
  if (untold_ > 0) {
    records_.push_back(drop_notice());
    bytes_ += records_.back().size();
  }
  bytes_ += bytes;
  records_.push_back(std::move(record));
}

auto LogQueue::take() -> std::optional<LogRecord> {
  const std::lock_guard lock(mutex_);
  if (records_.empty()) {
    if (untold_ == 0) return std::nullopt;
    return drop_notice();
  }
  LogRecord record = std::move(records_.front());
  records_.pop_front();
  bytes_ -= record.size();
  return record;
}

void LogQueue::count_lost(std::uint64_t messages) {
  const std::lock_guard lock(mutex_);
  dropped_ += messages;
  untold_ += messages;
}

auto LogQueue::size() const -> std::size_t {
  const std::lock_guard lock(mutex_);
  return records_.size();
}

auto LogQueue::dropped() const -> std::uint64_t {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace weir::syslog
