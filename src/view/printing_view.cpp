#include "view/printing_view.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <variant>

namespace weir::view {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace

PrintingView::PrintingView(const ViewOptions& options, Output& output, bool times)
    : output_(output),
      only_(options.only),
      limit_(options.limit.value_or(std::numeric_limits<std::uint64_t>::max())),
      remembers_(times),
      name_of_(options.name_of),
      grep_(options.grep),
      chunks_left_(options.chunks),
      utf8_(options.utf8 && options.kind != ViewKind::json) {
  if (options.proxies.size() < 2) return;
  for (const std::string& name : options.proxies) proxies_.push_back(shown_name(name));
}

// The JSON view escapes by itself.
auto PrintingView::shown_name(const std::string& name) const -> std::string {
  const std::string text = printable(name, utf8_);
  std::size_t size = std::min(text.size(), longest_proxy_name);
  while (size < text.size() && size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

auto PrintingView::proxy_name(const event::Event& event) const -> std::string_view {
  if (name_of_) {
    const auto [known, is_new] = names_.try_emplace(event.proxy);
    if (is_new) known->second = shown_name(name_of_(event.proxy));
    return known->second;
  }
  const auto index = static_cast<std::size_t>(event.proxy);
  return index < proxies_.size() ? std::string_view(proxies_[index]) : std::string_view();
}

void PrintingView::on_event(const event::Event& event, Nanos wall_offset) {
  if (output_.closed() || chunks_left_ == 0) return;
  const Moment moment{event, WallTime{event.time.time_since_epoch() + wall_offset}};
  last_time_ = event.time;
  last_wall_ = moment.wall;
  if (output_.is_down()) return lose(moment);
  if (lost_) tell_lost();
  event::Gap share{.events = 1};  // what would be missing without it
  std::visit(Overloaded{
                 [&](const event::ChunkRead& what) {
                   const std::uint64_t shown = chunk(moment, what) ? 1 : 0;
                   share = {.chunks = shown, .bytes = shown * what.bytes.size()};
                 },
                 [&](const std::shared_ptr<const event::SessionOpened>& what) { opened(moment, *what); },
                 [&](const event::HalfClosed& what) { half_closed(moment, what); },
                 [&](const std::shared_ptr<const event::SessionClosed>& what) { closed(moment, *what); },
                 [&](const event::Gap& what) {
                   // Of the sessions whose end was missed nobody will tell any more.
                   if (what.events > 0) last_shown_.clear();
                   print_gap(moment, what);
                   share = what;
                 },
                 [&](const auto&) { share = {}; },  // not of those that are printed
             },
             event.what);
  output_.end_record(share);
}

void PrintingView::on_verdict(const event::Verdict& verdict, Nanos wall_offset) {
  if (output_.closed() || chunks_left_ == 0) return;
  const event::Event event{verdict.time, verdict.proxy, verdict.session, std::monostate{}};
  const Moment moment{event, WallTime{verdict.time.time_since_epoch() + wall_offset}};
  last_time_ = event.time;
  last_wall_ = moment.wall;
  if (output_.is_down()) {
    const event::Gap more{.events = 1, .error = output_.why_down()};
    add_lost(event.time, moment.wall, more);
    return output_.count_lost(more);
  }
  if (lost_) tell_lost();
  print_verdict(moment, verdict);
  output_.end_record({.events = 1});
}

auto PrintingView::flush() -> bool {
  bool open = output_.flush();
  // A time of its own would go back behind what has been written since.
  if (const auto torn = output_.take_torn()) add_lost(last_time_, last_wall_, *torn);
  if (open && lost_ && !output_.is_down()) {
    tell_lost();
    open = output_.flush();
  }
  return open && chunks_left_ != 0;
}

void PrintingView::on_end() {
  output_.try_now();
  (void)flush();
}

// What becomes known of sessions is kept, as it will be needed when there is something to write to again.
void PrintingView::lose(const Moment& moment) {
  event::Gap more{.error = output_.why_down()};
  const Key key{moment.event.proxy, moment.event.session};
  std::visit(
      Overloaded{
          [&](const event::ChunkRead& what) {
            if (!is_shown(what)) return;
            more.chunks = 1;
            more.bytes = what.bytes.size();
          },
          [&](const event::Gap& what) {
            more = what;
            more.error = output_.why_down();
            if (what.events > 0) last_shown_.clear();
          },
          [&](const std::shared_ptr<const event::SessionOpened>&) {
            if (remembers_) last_shown_.insert_or_assign(key, Remembered{moment.event.time});
            more.events = 1;
          },
          [&](const std::shared_ptr<const event::SessionClosed>&) {
            last_shown_.erase(key);
            more.events = 1;
          },
          [&](const event::HalfClosed&) { more.events = 1; }, [](const auto&) {},  // not of those that are printed
      },
      moment.event.what);
  if (more.chunks + more.events == 0) return;
  add_lost(moment.event.time, moment.wall, more);
  output_.count_lost(more);
}

void PrintingView::add_lost(MonoTime time, WallTime wall, const event::Gap& more) {
  if (!lost_) lost_.emplace(Lost{time, wall, {}});
  lost_->gap = {.chunks = lost_->gap.chunks + more.chunks,
                .bytes = lost_->gap.bytes + more.bytes,
                .events = lost_->gap.events + more.events,
                .error = more.error};
}

// A gap line is about all sessions.
void PrintingView::tell_lost() {
  const Lost lost = *std::exchange(lost_, std::nullopt);
  print_gap(Moment{event::Event{lost.time, {}, {}, std::monostate{}}, lost.wall}, lost.gap);
  output_.end_record(lost.gap);
}

auto PrintingView::is_shown(const event::ChunkRead& chunk) const -> bool {
  if (only_ && *only_ != chunk.direction) return false;
  const Bytes bytes = chunk.bytes.bytes();
  return grep_.empty() || ::memmem(bytes.data(), bytes.size(), grep_.data(), grep_.size()) != nullptr;
}

void PrintingView::opened(const Moment& moment, const event::SessionOpened& what) {
  if (remembers_)
    last_shown_.insert_or_assign({moment.event.proxy, moment.event.session}, Remembered{moment.event.time});
  print_opened(moment, what);
}

auto PrintingView::chunk(const Moment& moment, const event::ChunkRead& what) -> bool {
  if (!is_shown(what)) return false;
  std::optional<Nanos> since;
  Remembered* session = nullptr;
  if (remembers_) {
    const auto [found, is_new] =
        last_shown_.try_emplace({moment.event.proxy, moment.event.session}, Remembered{moment.event.time});
    session = &found->second;
    if (!is_new) since = std::max(Nanos{0}, moment.event.time - std::exchange(session->last_shown, moment.event.time));
  }
  const Bytes bytes = what.bytes.bytes();
  const auto shown = static_cast<std::size_t>(std::min<std::uint64_t>(limit_, bytes.size()));
  print_chunk(
      moment,
      {.read = what, .bytes = bytes.first(shown), .cut = bytes.size() - shown, .since = since, .session = session});
  if (chunks_left_) --*chunks_left_;
  return true;
}

void PrintingView::half_closed(const Moment& moment, const event::HalfClosed& what) { print_half_closed(moment, what); }

void PrintingView::closed(const Moment& moment, const event::SessionClosed& what) {
  last_shown_.erase({moment.event.proxy, moment.event.session});
  print_closed(moment, what);
}

}  // namespace weir::view
