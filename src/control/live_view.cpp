#include "control/live_view.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace weir::control {
namespace {

// What waits between the two threads. More is not needed: rings hold what the reader is behind.
constexpr int pipe_size = 256 * 1024;

// Owns the pipe's write end for as long as its observer's thread may print.
class PrintsIntoPipe final : public event::Observer {
 public:
  PrintsIntoPipe(const view::ViewOptions& options, Fd pipe)
      : pipe_(std::move(pipe)), output_(pipe_.get()), view_(view::make_view(options, output_)) {}
  void on_event(const event::Event& event, Nanos wall_offset) override { view_->on_event(event, wall_offset); }
  auto flush() -> bool override { return view_->flush(); }

 private:
  Fd pipe_;
  view::Output output_;
  std::unique_ptr<event::Observer> view_;
};

}  // namespace

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
  auto attached = engine.attach({.observer = std::make_unique<PrintsIntoPipe>(options.view, std::move(written)),
                                 .ring = view::ring_options(options.view, options.when_slow),
                                 .wants = std::move(options.wants)});
  if (!attached) return tl::make_unexpected(attached.error());
  live->observer_ = *attached;
  return live;
}

LiveView::~LiveView() {
  if (watched_) loop_.forget(token_);
  // First the pipe: an observer that waits in a write for its reader finds it gone.
  printed_.reset();
  if (observer_) engine_.detach(*observer_);
}

void LiveView::on_ready(std::uint32_t) {
  if (on_more_) on_more_();
}

auto LiveView::read(std::size_t most) -> std::string {
  int waiting = 0;
  if (::ioctl(printed_.get(), FIONREAD, &waiting) != 0 || waiting <= 0) return {};
  std::string text(std::min(most, static_cast<std::size_t>(waiting)), '\0');
  std::size_t got = 0;
  while (got < text.size()) {
    const ssize_t n = ::read(printed_.get(), text.data() + got, text.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  text.resize(got);
  return text;
}

}  // namespace weir::control
