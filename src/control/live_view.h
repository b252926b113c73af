// A view of running proxies for one reader, made and ended while traffic passes.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
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
  std::optional<Nanos> end_after{};                     // then it ends, as it does when ViewOptions::chunks are shown
  std::string reader{};                                 // who reads it, for whoever is told that it holds traffic up
};

// What the view prints comes from the observer's thread through a pipe to the control loop. A reader that is slow fills
// the pipe, then the rings, and then `when_slow` says what happens. The control thread only; its end ends the view and
// waits for nobody.
class LiveView final : private net::ReadyHandler, private net::Timer {
 public:
  // Every byte is shown once the engine is settled (engine::Engine::settle). An Error: too many observers, or no
  // descriptor.
  [[nodiscard]] static auto open(engine::Engine& engine, net::EventLoop& loop, LiveViewOptions options)
      -> Result<std::unique_ptr<LiveView>>;
  ~LiveView() override;
  LiveView(const LiveView&) = delete;
  auto operator=(const LiveView&) -> LiveView& = delete;

  // Called when read() has more, on the loop's thread.
  void set_on_more(std::function<void()> on_more) { on_more_ = std::move(on_more); }
  // What was printed since, at most so many bytes; empty: nothing now.
  [[nodiscard]] auto read(std::size_t most) -> std::string;
  // Once read() has given all: it is over, as all that was wanted is shown or its time has passed. Its closing line, as
  // that of `weir tap`; empty if nothing was to be shown. Nothing: it goes on.
  [[nodiscard]] auto ended() const -> std::optional<std::string>;

 private:
  // What the observer's thread leaves behind at its end.
  struct LastWord {
    std::mutex mutex;
    std::string summary;
  };
  class PrintsIntoPipe;
  LiveView(engine::Engine& engine, net::EventLoop& loop, Fd printed);
  void on_ready(std::uint32_t events) override;
  void on_timer() override;

  engine::Engine& engine_;
  net::EventLoop& loop_;
  Fd printed_;  // the pipe's read end
  net::WatchToken token_;
  bool watched_ = false;
  bool all_read_ = false;
  std::shared_ptr<LastWord> last_word_ = std::make_shared<LastWord>();
  std::optional<engine::ObserverId> observer_;
  std::function<void()> on_more_;
};

}  // namespace weir::control
