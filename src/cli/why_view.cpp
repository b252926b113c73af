#include "cli/why_view.h"

#include <utility>

namespace weir::cli {

using event::Event;

WhyView::WhyView(std::unique_ptr<view::View> view, WhyViewOptions options)
    : view_(std::move(view)), options_(std::move(options)), diagnosis_(this->options()) {}

auto WhyView::ring_options(const view::ViewOptions& options, event::FullPolicy when_slow) -> event::RingOptions {
  event::RingOptions ring = view::ring_options(options, when_slow);
  ring.mask |= diagnose::required_events();
  ring.directions = {true, true};  // the view leaves out by itself what --only does
  return ring;
}

auto WhyView::options() -> diagnose::DiagnosisOptions {
  diagnose::DiagnosisOptions made;
  made.patterns = false;  // a verdict is shown where it happened
  made.server = options_.server;
  if (options_.verdicts) {
    made.on_verdict = [this](const diagnose::ToldVerdict& verdict) {
      event::Verdict told{.time = under_way_->time,
                          .proxy = under_way_->proxy,
                          .session = verdict.session,
                          .exchange = verdict.exchange,
                          .begin = verdict.begin,
                          .length = verdict.length,
                          .cause = verdict.cause->name,
                          .side = to_string(verdict.side),
                          .certainty = to_string(verdict.certainty),
                          .who = verdict.who,
                          .text = verdict.text,
                          .fix = verdict.fix,
                          .evidence = {}};
      for (const auto& each : verdict.evidence) told.evidence.emplace_back(each.name, each.value);
      told_.push_back(std::move(told));
    };
  }
  made.on_exchange = [this](const diagnose::Exchange& exchange) {
    if (exchange.answered) ended_ = exchange.end - exchange.begin;
  };
  made.acknowledge_at_once = options_.acknowledge_at_once;
  return made;
}

void WhyView::on_event(const Event& event, Nanos wall_offset) {
  told_.clear();
  ended_.reset();
  under_way_ = &event;
  diagnosis_.on_event(event, wall_offset);
  if (options_.slow) return filter(event, wall_offset);
  // They are of pauses that events before this one ended.
  for (const event::Verdict& verdict : told_) view_->on_verdict(verdict, wall_offset);
  view_->on_event(event, wall_offset);
}

void WhyView::filter(const Event& event, Nanos wall_offset) {
  if (std::holds_alternative<event::Gap>(event.what)) {
    for (auto& [key, held] : held_) {
      forget(held);
      held.begin.reset();
      held.passes = false;
    }
    return view_->on_event(event, wall_offset);
  }
  const event::SessionKey key{event.proxy, event.session};
  Held& held = held_[key];
  for (event::Verdict& verdict : told_) {
    if (held.passes) {
      view_->on_verdict(verdict, wall_offset);
    } else {
      held.items.emplace_back(std::move(verdict));
    }
  }
  if (ended_) {
    if (*ended_ > *options_.slow && !held.passes) show(held, wall_offset);
    forget(held);
    held.passes = false;
    held.begin.reset();
  }
  if (std::holds_alternative<std::shared_ptr<const event::SessionOpened>>(event.what)) {
    held.opened = event;
  } else if (const auto* chunk = std::get_if<event::ChunkRead>(&event.what)) {
    filter_chunk(held, *chunk, event, wall_offset);
  } else if (std::holds_alternative<event::HalfClosed>(event.what)) {
    held.passes ? view_->on_event(event, wall_offset) : hold(held, event);
  } else if (std::holds_alternative<std::shared_ptr<const event::SessionClosed>>(event.what)) {
    if (held.begin && event.time - *held.begin > *options_.slow && !held.passes) show(held, wall_offset);
    if (held.was_shown) view_->on_event(event, wall_offset);
    forget(held);
    held_.erase(key);
  }
}

void WhyView::filter_chunk(Held& held, const event::ChunkRead& chunk, const Event& event, Nanos wall_offset) {
  if (chunk.direction == Direction::upstream && !held.begin) {
    if (!held.passes) forget(held);  // what a server says before it is asked is of no exchange
    held.begin = chunk.kernel_time.value_or(event.time);
  }
  if (held.begin && !held.passes && event.time - *held.begin > *options_.slow) {
    show(held, wall_offset);
    held.passes = true;
  }
  held.passes ? view_->on_event(event, wall_offset) : hold(held, event);
}

void WhyView::hold(Held& held, const Event& event) {
  constexpr std::size_t each = 4096;  // a chunk keeps the block in which it lies
  const auto* chunk = std::get_if<event::ChunkRead>(&event.what);
  const std::size_t bytes = each + (chunk == nullptr ? 0 : chunk->bytes.size());
  if (held.bytes + bytes > most_held_of_session || held_bytes_ + bytes > most_held) {
    held.gap.chunks += chunk != nullptr ? 1 : 0;
    held.gap.bytes += bytes - each;
    held.gap.events += chunk != nullptr ? 0 : 1;
    return;
  }
  held.bytes += bytes;
  held_bytes_ += bytes;
  held.items.emplace_back(event);
}

void WhyView::show(Held& held, Nanos wall_offset) {
  if (held.opened) view_->on_event(*std::exchange(held.opened, std::nullopt), wall_offset);
  held.was_shown = true;
  for (const auto& item : held.items) {
    if (const auto* event = std::get_if<Event>(&item)) {
      view_->on_event(*event, wall_offset);
    } else {
      view_->on_verdict(std::get<event::Verdict>(item), wall_offset);
    }
  }
  if (held.gap.chunks + held.gap.events > 0) {
    view_->on_event({under_way_->time, under_way_->proxy, under_way_->session, held.gap}, wall_offset);
  }
  forget(held);
}

void WhyView::forget(Held& held) {
  held_bytes_ -= std::exchange(held.bytes, 0);
  held.items.clear();
  held.gap = {};
}

}  // namespace weir::cli
