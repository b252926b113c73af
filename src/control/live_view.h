// A view of running proxies for one reader, made and ended while traffic passes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "engine/engine.h"
#include "net/event_loop.h"
#include "view/view.h"

namespace weir::control {

struct LiveViewOptions {
  view::ViewOptions view;
  event::FullPolicy when_slow = event::FullPolicy::drop;
  std::function<bool(std::string_view proxy)> wants{};  // which proxies; empty: all
};

// What the view prints comes from the observer's thread through a pipe to the control loop. A reader that is slow fills
// the pipe, then the rings, and then `when_slow` says what happens. The control thread only; its end ends the view and
// waits for nobody.
class LiveView final : private net::ReadyHandler {
 public:
  // Every byte is shown once the engine is settled (engine::Engine::settle). An Error: too many observers, or no
  // descriptor.
  [[nodiscard]] static auto open(engine::Engine& engine, net::EventLoop& loop, LiveViewOptions options)
      -> Result<std::unique_ptr<LiveView>>;
  ~LiveView();
  LiveView(const LiveView&) = delete;
  auto operator=(const LiveView&) -> LiveView& = delete;

  // Called when read() has more, on the loop's thread.
  void set_on_more(std::function<void()> on_more) { on_more_ = std::move(on_more); }
  // What was printed since, at most so many bytes; empty: nothing now.
  [[nodiscard]] auto read(std::size_t most) -> std::string;

 private:
  LiveView(engine::Engine& engine, net::EventLoop& loop, Fd printed);
  void on_ready(std::uint32_t events) override;

  engine::Engine& engine_;
  net::EventLoop& loop_;
  Fd printed_;  // the pipe's read end
  net::WatchToken token_;
  bool watched_ = false;
  std::optional<engine::ObserverId> observer_;
  std::function<void()> on_more_;
};

}  // namespace weir::control
