#include "control/live_view.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "control/view_totals.h"

namespace weir::control {
namespace {

// What waits between the two threads. More is not needed: rings hold what the reader is behind.
constexpr int pipe_size = 256 * 1024;

}  // namespace

// Owns the pipe's write end for as long as it may print. It closes it when it has shown all that was wanted, or is
// given nothing more: the read end tells the control loop.
class LiveView::PrintsIntoPipe final : public event::Observer {
 public:
  PrintsIntoPipe(const view::ViewOptions& options, Fd pipe, MonoTime now, std::shared_ptr<LastWord> last_word)
      : pipe_(std::move(pipe)),
        output_(pipe_.get()),
        view_(view::make_view(options, output_)),
        is_silent_(view::required_events(options) == 0),
        totals_(now, options.only),
        last_word_(std::move(last_word)) {}
  void on_event(const event::Event& event, Nanos wall_offset) override {
    if (!pipe_) return;
    totals_.on_event(event);
    view_->on_event(event, wall_offset);
  }
  auto flush() -> bool override {
    if (!pipe_ || view_->flush()) return true;
    if (output_.closed()) return false;
    end();
    return true;  // what still comes is for nobody, until the control thread has detached it
  }
  void on_end() override {
    if (!pipe_) return;
    view_->on_end();
    end();
  }

 private:
  void end() {
    {
      const std::lock_guard lock(last_word_->mutex);
      if (!is_silent_) last_word_->summary = totals_.summary();
    }
    pipe_.reset();
  }

  Fd pipe_;
  view::Output output_;
  std::unique_ptr<event::Observer> view_;
  bool is_silent_;
  ViewTotals totals_;
  std::shared_ptr<LastWord> last_word_;
};

LiveView::LiveView(engine::Engine& engine, net::EventLoop& loop, Fd printed)
    : engine_(engine), loop_(loop), printed_(std::move(printed)) {}

auto LiveView::open(engine::Engine& engine, net::EventLoop& loop, LiveViewOptions options)
    -> Result<std::unique_ptr<LiveView>> {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return failure(fmt::format("cannot make a pipe for the view: {}", errno_text(errno)), errno);
  }
  Fd written(ends[1]);
  std::unique_ptr<LiveView> live(new LiveView(engine, loop, Fd(ends[0])));
  ::fcntl(written.get(), F_SETPIPE_SZ, pipe_size);  // may be refused past pipe-user-pages-soft; the default will do
  auto token = loop.watch(live->printed_.get(), *live, EPOLLIN | static_cast<std::uint32_t>(EPOLLET));
  if (!token) return tl::make_unexpected(token.error());
  live->token_ = *token;
  live->watched_ = true;
  auto ring = view::ring_options(options.view, options.when_slow);
  // For the closing line, also where the view shows bytes alone.
  if (ring.mask != 0) ring.mask = ring.mask | event::EventKind::session_opened | event::EventKind::session_closed;
  auto attached =
      engine.attach({.observer = std::make_unique<PrintsIntoPipe>(options.view, std::move(written), loop.clock().mono(),
                                                                  live->last_word_),
                     .ring = ring,
                     .wants = std::move(options.wants),
                     .name = "watch",
                     .reader = std::move(options.reader),
                     .way_out = "have it read on, or end it; with when_slow=drop it would hold nothing up"});
  if (!attached) return tl::make_unexpected(attached.error());
  live->observer_ = *attached;
  if (options.end_after) loop.wheel().arm(*live, loop.now() + *options.end_after);
  return live;
}

LiveView::~LiveView() {
  loop_.wheel().disarm(*this);
  if (watched_) loop_.forget(token_);
  // First the pipe: an observer that waits in a write for its reader finds it gone.
  printed_.reset();
  if (observer_) engine_.detach(*observer_);
}

void LiveView::on_ready(std::uint32_t) {
  if (on_more_) on_more_();
}

// It is given what has happened until now, and ends; the reader goes on to the pipe's end.
void LiveView::on_timer() {
  if (observer_) engine_.detach(*std::exchange(observer_, std::nullopt));
}

auto LiveView::read(std::size_t most) -> std::string {
  int waiting = 0;
  if (most == 0 || ::ioctl(printed_.get(), FIONREAD, &waiting) != 0) return {};
  // Where nothing waits, a read tells whether the end does.
  std::string text(std::clamp<std::size_t>(static_cast<std::size_t>(waiting), 1, most), '\0');
  std::size_t got = 0;
  while (got < text.size()) {
    const ssize_t n = ::read(printed_.get(), text.data() + got, text.size() - got);
    if (n < 0 && errno == EINTR) continue;
    all_read_ = n == 0;
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  text.resize(got);
  return text;
}

auto LiveView::ended() const -> std::optional<std::string> {
  if (!all_read_) return std::nullopt;
  const std::lock_guard lock(last_word_->mutex);
  return last_word_->summary;
}

}  // namespace weir::control
