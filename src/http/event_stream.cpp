#include "http/event_stream.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace weir::http {

void append_event(std::string& out, const ServerEvent& event) {
  auto to = std::back_inserter(out);
  if (event.id) fmt::format_to(to, "id: {}\n", *event.id);
  fmt::format_to(to, "event: {}\n", event.type);
  std::string_view left = event.data;
  while (true) {
    const auto end = left.find('\n');
    fmt::format_to(to, "data: {}\n", left.substr(0, end));
    if (end == std::string_view::npos) break;
    left.remove_prefix(end + 1);
  }
  out += '\n';
}

void append_gap(std::string& out, std::uint64_t missed) {
  append_event(out, {.type = "gap", .data = fmt::format("{{\"missed\":{}}}", missed)});
}

auto EventQueue::push(const ServerEvent& event) -> bool {
  std::string framed;
  if (gap_ > 0) append_gap(framed, gap_);
  append_event(framed, event);
  if (waiting_bytes_ + framed.size() > most_bytes_) {
    ++gap_;
    ++missed_;
    return false;
  }
  gap_ = 0;
  waiting_bytes_ += framed.size();
  waiting_.push_back(std::move(framed));
  return true;
}

auto EventQueue::take(std::size_t room) -> std::string {
  std::string out;
  while (!waiting_.empty() && (out.empty() || out.size() + waiting_.front().size() <= room)) {
    waiting_bytes_ -= waiting_.front().size();
    out += waiting_.front();
    waiting_.pop_front();
  }
  if (waiting_.empty() && gap_ > 0) append_gap(out, std::exchange(gap_, 0));
  return out;
}

}  // namespace weir::http
