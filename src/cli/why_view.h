// A view with a diagnosis beside it: weir tap --why and --slow.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "diagnose/diagnosis.h"
#include "event/session_key.h"
#include "event/verdict.h"
#include "view/view.h"

namespace weir::cli {

struct WhyViewOptions {
  std::string server{};  // how the upstream is called
  bool verdicts = true;  // shown where they happened
  std::optional<Nanos>
      slow{};  // only exchanges that took longer are shown; what comes of one before it is known is held
  std::function<void(const SessionHandle&, LegName, unsigned reads)> acknowledge_at_once{};  // as of DiagnosisOptions
};

// Gives each event to the diagnosis and to the view, and the view each verdict behind the event that ended its pause:
// when the kernel's counters of that moment are told, which is before anything else of the session. Runs on the
// observer's thread.
class WhyView final : public event::Observer {
 public:
  WhyView(std::unique_ptr<view::View> view, WhyViewOptions options);
  void on_event(const event::Event& event, Nanos wall_offset) override;
  [[nodiscard]] auto flush() -> bool override { return view_->flush(); }
  [[nodiscard]] auto flush_due() const -> std::optional<Nanos> override { return view_->flush_due(); }
  void set_wake(std::function<void()> wake) override { view_->set_wake(std::move(wake)); }
  void on_end() override { view_->on_end(); }

  // What a view of these options wants of a ring, and the diagnosis.
  [[nodiscard]] static auto ring_options(const view::ViewOptions& options, event::FullPolicy when_slow)
      -> event::RingOptions;

  // Of exchanges that are not slow yet, in bytes of chunks, each counted as 4 KiB more: what comes beyond it is told as
  // a gap.
  static constexpr std::size_t most_held_of_session = std::size_t{4} << 20;
  static constexpr std::size_t most_held = std::size_t{64} << 20;
  [[nodiscard]] auto held_bytes() const -> std::size_t { return held_bytes_; }

 private:
  // What a session has not shown yet.
  struct Held {
    std::deque<std::variant<event::Event, event::Verdict>> items;
    std::size_t bytes = 0;
    event::Gap gap;
    std::optional<event::Event> opened;  // until something of the session is shown
    std::optional<MonoTime> begin;       // of the exchange that is open
    bool passes = false;                 // it is slow already: what comes of it is shown at once
    bool was_shown = false;
  };

  [[nodiscard]] auto options() -> diagnose::DiagnosisOptions;
  void filter(const event::Event& event, Nanos wall_offset);
  void filter_chunk(Held& held, const event::ChunkRead& chunk, const event::Event& event, Nanos wall_offset);
  void hold(Held& held, const event::Event& event);
  void show(Held& held, Nanos wall_offset);
  void forget(Held& held);

  std::unique_ptr<view::View> view_;
  WhyViewOptions options_;
  std::vector<event::Verdict> told_;  // by the diagnosis, of the event under way
  std::optional<Nanos> ended_;        // it ended an exchange that took so long
  const event::Event* under_way_ = nullptr;
  diagnose::Diagnosis diagnosis_;
  std::unordered_map<event::SessionKey, Held, event::SessionKeyHash> held_;
  std::size_t held_bytes_ = 0;
};

}  // namespace weir::cli
