#include "control/server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>

#include "base/duration.h"
#include "control/access.h"
#include "control/event_log.h"
#include "control/http_server.h"
#include "control/metrics.h"
#include "control/native_routes.h"
#include "control/registry.h"
#include "control/session_watch.h"
#include "control/toxiproxy_file.h"
#include "control/toxiproxy_routes.h"
#include "engine/lifecycle.h"
#include "engine/listeners.h"
#include "engine/usable_cores.h"

namespace weir::control {
namespace {

// What a room below wants to tell a person goes where our own lines go.
class SayLog final : public Log {
 public:
  explicit SayLog(std::function<void(std::string_view)> say) : say_(std::move(say)) {}
  void write(LogLevel, std::string_view message) override { say_(message); }

 private:
  std::function<void(std::string_view)> say_;
};

// A descriptor on the loop and what to do when it is readable. Level-triggered.
class Readable final : private net::ReadyHandler {
 public:
  Readable(net::EventLoop& loop, std::function<void()> act) : loop_(loop), act_(std::move(act)) {}
  ~Readable() {
    if (fd_ >= 0) loop_.unwatch(token_, fd_);
  }
  Readable(const Readable&) = delete;
  auto operator=(const Readable&) -> Readable& = delete;
  [[nodiscard]] auto watch(int fd) -> Result<void> {
    auto token = loop_.watch(fd, *this, EPOLLIN);
    if (!token) return tl::make_unexpected(token.error());
    token_ = *token;
    fd_ = fd;
    return {};
  }

 private:
  void on_ready(std::uint32_t) override { act_(); }
  net::EventLoop& loop_;
  std::function<void()> act_;
  net::WatchToken token_;
  int fd_ = -1;
};

auto random_seed() -> std::uint64_t {
  std::random_device random;
  const std::uint64_t seed = (std::uint64_t{random()} << 32) | random();
  return seed >> 11;  // a JSON number holds 53 bits exactly
}

auto served_signals() -> sigset_t {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int each : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, each);
  return set;
}

// The control thread: one loop for the API, signals and the engine's news.
class Server final : private net::Timer {
 public:
  Server(const ServeOptions& options, std::unique_ptr<net::EventLoop> loop, std::unique_ptr<engine::Engine> engine)
      : options_(options),
        log_(options.say),
        loop_(std::move(loop)),
        engine_(std::move(engine)),
        registry_(*engine_, [this](const Change& change) { on_change(change); }),
        toxiproxy_(registry_, options.version),
        native_(registry_, events_, options.version),
        http_(
            *loop_, [this](const HttpRequest& request) { return handle(request); }, log_),
        signal_watch_(*loop_, [this] { on_signal(); }),
        news_watch_(*loop_, [this] { on_news(); }) {}

  auto start() -> Result<void>;
  void run();

 private:
  [[nodiscard]] auto handle(const HttpRequest& request) -> HttpAnswer;
  [[nodiscard]] auto bind_api() -> Result<std::string>;
  void on_change(const Change& change);
  void on_sessions(std::vector<SessionWatch::Item>&& items);
  void on_signal();
  void on_news();
  void on_timer() override;
  void end_now(const event::CloseCause& cause, const std::string& detail);

  const ServeOptions& options_;
  SayLog log_;
  std::unique_ptr<net::EventLoop> loop_;
  std::unique_ptr<engine::Engine> engine_;
  EventLog events_;
  Registry registry_;
  ToxiproxyRoutes toxiproxy_;
  NativeRoutes native_;
  AccessRules rules_;
  HttpServer http_;
  Fd signals_;
  Readable signal_watch_;
  Readable news_watch_;
  std::vector<std::string> unix_paths_;
  bool draining_ = false;
  bool ending_ = false;
};

auto Server::handle(const HttpRequest& request) -> HttpAnswer {
  if (auto refused = why_refused(rules_, request)) return std::move(*refused);
  if (family_of(request.path) == RouteFamily::toxiproxy) return toxiproxy_.handle(request);
  if (request.path == "/metrics") return metrics_answer(registry_, *engine_, events_, http_.connections());
  return native_.handle(request);
}

auto Server::bind_api() -> Result<std::string> {
  engine::ProxySpec wanted;
  wanted.listen = engine::BindAddress{options_.api};
  // A Unix socket is born readable to its owner alone.
  const mode_t mask = ::umask(0177);
  auto listeners = engine::make_listeners(wanted, {});
  ::umask(mask);
  if (!listeners) {
    return failure(fmt::format("the API cannot listen on {}: {}", options_.api.text, listeners.error().message));
  }
  unix_paths_ = listeners->unix_paths;
  for (const auto& socket : listeners->sockets) {
    if (auto address = net::local_address(socket->get())) registry_.forbid(*address);
    if (auto heard = http_.listen(Fd(::fcntl(socket->get(), F_DUPFD_CLOEXEC, 0))); !heard) {
      return tl::make_unexpected(heard.error());
    }
  }
  return listeners->text;
}

auto Server::start() -> Result<void> {
  auto rules = make_rules(options_.api.addresses, options_.token, options_.compat_open);
  if (!rules) return tl::make_unexpected(rules.error());
  rules_ = *std::move(rules);
  const sigset_t set = served_signals();
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (auto watched = signal_watch_.watch(signals_.get()); !watched) return watched;
  if (auto watched = news_watch_.watch(engine_->news_fd()); !watched) return watched;
  engine_->add_observer(
      {.observer = std::make_unique<SessionWatch>(
           *loop_, [this](std::vector<SessionWatch::Item>&& items) { on_sessions(std::move(items)); }),
       .ring = {.policy = event::FullPolicy::drop,
                .mask = event::EventKind::session_opened | event::EventKind::session_closed}});
  engine_->start();
  const auto where = bind_api();
  if (!where) return tl::make_unexpected(where.error());
  if (!options_.toxiproxy_config.empty()) {
    if (auto loaded = load_toxiproxy_file(options_.toxiproxy_config, registry_, log_); !loaded) return loaded;
  }
  if (!rules_.local && rules_.token.empty()) {
    log_.warning(
        "warning: toxiproxy's routes are open to everybody who reaches this address; the rest of the API is closed");
  }
  return options_.on_listening(*where);
}

void Server::run() { loop_->run(); }

void Server::on_change(const Change& change) {
  Json data{{"proxy", change.proxy}, {"revision", change.revision}};
  if (!change.fault.empty()) data["fault"] = change.fault;
  events_.add(change.what, data);
}

void Server::on_sessions(std::vector<SessionWatch::Item>&& items) {
  for (auto& item : items) {
    if (item.type == "sessions.missed") {
      events_.count_missed(item.data["events"].get<std::uint64_t>());
      events_.add(std::move(item.type), item.data);
      continue;
    }
    const ProxyEntry* proxy = registry_.find(item.proxy);
    Json data{{"proxy", proxy == nullptr ? Json() : Json(proxy->wish.name)}};
    data.update(item.data);
    events_.add(std::move(item.type), data);
  }
}

void Server::end_now(const event::CloseCause& cause, const std::string& detail) {
  ending_ = true;
  engine_->stop_accepting();
  engine_->end_sessions(cause, detail);
  on_news();
}

void Server::on_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      log_.info("SIGHUP: there is no configuration file to read again");
      continue;
    }
    if (draining_) {
      if (!ending_) end_now({.reason = event::CloseReason::shutdown}, "second signal");
      continue;
    }
    draining_ = true;
    http_.stop();
    engine_->stop_accepting();
    if (options_.drain) loop_->wheel().arm(*this, loop_->now() + *options_.drain);
    if (const auto live = engine_->live_sessions(); live > 0 && options_.drain != Nanos{0}) {
      log_.info(fmt::format("draining: {} sessions open, {}; a second signal ends them now", live,
                            options_.drain ? "at most " + format_duration(*options_.drain) : "no limit"));
    }
    on_news();
  }
}

void Server::on_timer() {
  end_now({.reason = event::CloseReason::timeout, .timeout = event::TimeoutName::drain, .after = *options_.drain}, "");
}

void Server::on_news() {
  const auto news = engine_->take_news();
  if (draining_ && news.all_sessions_ended) loop_->stop();
}

}  // namespace

auto serve(const ServeOptions& options) -> Result<void> {
  const sigset_t set = served_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  (void)net::raise_descriptor_limit();
  auto loop = net::EventLoop::create(SystemClock::instance());
  if (!loop) return tl::make_unexpected(loop.error());
  auto engine = engine::Engine::create(
      {.workers = options.workers.value_or(engine::usable_cores()), .seed = options.seed.value_or(random_seed())});
  if (!engine) return tl::make_unexpected(engine.error());
  Server server(options, *std::move(loop), *std::move(engine));
  if (auto started = server.start(); !started) return started;
  server.run();
  return {};
}

}  // namespace weir::control
