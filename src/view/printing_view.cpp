#include "view/printing_view.h"

#include <algorithm>
#include <memory>
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
      name_of_(options.name_of) {
  if (options.proxies.size() < 2) return;
  for (const std::string& name : options.proxies) proxies_.push_back(printable(name).substr(0, longest_proxy_name));
}

auto PrintingView::proxy_name(const event::Event& event) const -> std::string_view {
  if (name_of_) {
    const auto [known, is_new] = names_.try_emplace(event.proxy);
    if (is_new) known->second = printable(name_of_(event.proxy)).substr(0, longest_proxy_name);
    return known->second;
  }
  const auto index = static_cast<std::size_t>(event.proxy);
  return index < proxies_.size() ? std::string_view(proxies_[index]) : std::string_view();
}

void PrintingView::on_event(const event::Event& event, Nanos wall_offset) {
  if (output_.closed()) return;
  const Moment moment{event, WallTime{event.time.time_since_epoch() + wall_offset}};
  std::visit(Overloaded{
                 [&](const event::ChunkRead& what) { chunk(moment, what); },
                 [&](const std::shared_ptr<const event::SessionOpened>& what) { opened(moment, *what); },
                 [&](const event::HalfClosed& what) { half_closed(moment, what); },
                 [&](const std::shared_ptr<const event::SessionClosed>& what) { closed(moment, *what); },
                 [&](const event::Gap& what) {
                   // Of the sessions whose end was missed nobody will tell any more.
                   if (what.events > 0) last_shown_.clear();
                   print_gap(moment, what);
                 },
                 [](const auto&) {},  // not of those that are printed
             },
             event.what);
}

void PrintingView::opened(const Moment& moment, const event::SessionOpened& what) {
  if (remembers_) last_shown_.insert_or_assign({moment.event.proxy, moment.event.session}, moment.event.time);
  print_opened(moment, what);
}

void PrintingView::chunk(const Moment& moment, const event::ChunkRead& what) {
  if (only_ && *only_ != what.direction) return;
  std::optional<Nanos> since;
  if (remembers_) {
    const Key key{moment.event.proxy, moment.event.session};
    const auto found = last_shown_.find(key);
    if (found == last_shown_.end()) {
      last_shown_.emplace(key, moment.event.time);
    } else {
      since = std::max(Nanos{0}, moment.event.time - found->second);
      found->second = moment.event.time;
    }
  }
  const Bytes bytes = what.bytes.bytes();
  const auto shown = static_cast<std::size_t>(std::min<std::uint64_t>(limit_, bytes.size()));
  print_chunk(moment, {.read = what, .bytes = bytes.first(shown), .cut = bytes.size() - shown, .since = since});
}

void PrintingView::half_closed(const Moment& moment, const event::HalfClosed& what) { print_half_closed(moment, what); }

void PrintingView::closed(const Moment& moment, const event::SessionClosed& what) {
  last_shown_.erase({moment.event.proxy, moment.event.session});
  print_closed(moment, what);
}

}  // namespace weir::view
