#include "control/serve.h"

#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "base/seeded_random.h"
#include "control/bulk_changes.h"
#include "control/config_file.h"
#include "control/event_log.h"
#include "control/leases.h"
#include "control/ordered_events.h"
#include "control/readable.h"
#include "control/registry.h"
#include "control/session_log.h"
#include "control/session_watch.h"
#include "engine/drain.h"
#include "engine/lifecycle.h"
#include "engine/listeners.h"
#include "engine/machine.h"
#include "http/server.h"
#include "net/descriptors.h"

namespace weir::control {
namespace {

auto cannot_end(int fd, const std::string& why) -> tl::unexpected<Error> {
  return failure(fmt::format("--exit-on-eof {}: {}; give a pipe or a socket that is open", fd, why));
}

// Its lines are read when something has gone wrong, hours later and beside the logs of others.
auto log_settings(const ServeOptions& options, const Config& config) -> syslog::LogSettings {
  auto settings = settle(options.log, config.log, options.quiet);
  settings.with_time = true;
  return settings;
}

// The control thread: one loop for the API, signals and the engine's news.
class Server final : private net::Timer {
 public:
  Server(const ServeOptions& options, Config config, syslog::TargetLog& log, std::unique_ptr<net::EventLoop> loop,
         std::unique_ptr<engine::Engine> engine)
      : options_(options),
        drain_(options.drain.value_or(config.timeouts[event::TimeoutName::drain])),
        log_(log),
        loop_(std::move(loop)),
        engine_(std::move(engine)),
        told_(events_, *engine_, *loop_),
        diagnoses_(*engine_, *loop_,
                   [this](std::vector<SessionWatch::Item>&& items) { on_sessions(std::move(items)); }),
        registry_(*engine_, [this](const Change& change) { on_change(change); }),
        leases_(*loop_,
                [this](const std::string& lease, std::function<void()> then) { on_lease_end(lease, std::move(then)); }),
        changes_(*loop_, log_, paced_by(*engine_, *loop_)),
        lists_(*loop_, log_, {}, Turns::Order::in_turns),
        config_(options.config, std::move(config),
                {.loop = *loop_,
                 .changes = changes_,
                 .registry = registry_,
                 .log = log_,
                 .log_settings = [this](const Config& read) { return log_settings(options_, read); },
                 .on_applied =
                     [this](const Config& now) {
                       if (!options_.drain) drain_.set_limit(now.timeouts[event::TimeoutName::drain]);
                     }}),
        http_(
            *loop_,
            [this](http::Request request, http::Responder responder) {
              served_.handler(std::move(request), std::move(responder));
            },
            log_),
        signal_watch_(*loop_, [this] { on_signal(); }),
        eof_watch_(*loop_, [this] { on_eof_readable(); }),
        news_watch_(*loop_, [this] { on_news(); }) {
    registry_.set_diagnoses(diagnoses_);
  }

  ~Server() override { remove_unix_paths(); }
  Server(const Server&) = delete;
  auto operator=(const Server&) -> Server& = delete;

  auto start() -> Result<void>;
  void run();
  void know(ProxyNames& names) { registry_.set_names(names); }
  void write_to(ObserverOutputs& outputs) { outputs_ = &outputs; }
  // False: an observer's output is stuck, see ObserverThread::finish.
  [[nodiscard]] auto stop() -> bool { return engine_->stop(std::chrono::milliseconds{2000}); }

 private:
  [[nodiscard]] auto apply_first_config() -> Result<void>;
  [[nodiscard]] auto bind_api() -> Result<std::string>;
  [[nodiscard]] auto output_status() const -> std::vector<view::OutputStatus>;
  void on_change(const Change& change);
  void on_sessions(std::vector<SessionWatch::Item>&& items);
  void on_lease_end(const std::string& lease, std::function<void()> then);
  void on_signal();
  void on_eof_readable();
  void on_news();
  void on_timer() override;
  void remove_unix_paths() {
    for (const auto& path : std::exchange(unix_paths_, {})) ::unlink(path.c_str());
  }
  void obey(const engine::Drain::Orders& orders);

  const ServeOptions& options_;
  ObserverOutputs* outputs_ = nullptr;
  engine::Drain drain_;
  syslog::TargetLog& log_;
  std::unique_ptr<net::EventLoop> loop_;
  std::unique_ptr<engine::Engine> engine_;
  EventLog events_;
  OrderedEvents told_;
  SessionLog session_log_{log_};
  Diagnoses diagnoses_;
  Registry registry_;
  Leases leases_;
  Turns changes_;
  Turns lists_;
  ConfigFile config_;
  ListenAddress api_;
  Api served_;
  http::Server http_;
  Fd signals_;
  Readable signal_watch_;
  Readable eof_watch_;
  Readable news_watch_;
  std::vector<std::string> unix_paths_;
};

auto Server::bind_api() -> Result<std::string> {
  // A Unix socket is born readable to its owner alone.
  const mode_t mask = ::umask(0177);
  // A client that has gone without a word is noticed, and the place of its event stream or view is free again.
  const net::StreamOptions keepalive{.user_timeout = std::nullopt,
                                     .keepalive_idle = std::chrono::seconds{60},
                                     .keepalive_interval = std::chrono::seconds{15},
                                     .keepalive_count = 4};
  auto listeners = engine::make_listeners(api_, std::nullopt, keepalive);
  ::umask(mask);
  if (!listeners) {
    return failure(fmt::format("the API cannot listen on {}: {}", api_.text, listeners.error().message));
  }
  unix_paths_ = listeners->unix_paths;
  for (const auto& socket : listeners->sockets) {
    if (auto address = net::local_address(socket->get())) registry_.forbid(*address);
    Fd own(::fcntl(socket->get(), F_DUPFD_CLOEXEC, 0));
    auto heard = own ? http_.listen(std::move(own)) : failure(errno_text(errno), errno);
    if (!heard) return failure(fmt::format("the API cannot listen on {}: {}", api_.text, heard.error().message));
  }
  return listeners->where.text;
}

auto Server::start() -> Result<void> {
  api_ = options_.api        ? *options_.api
         : config_.now().api ? *config_.now().api
                             : *ListenAddress::parse("127.0.0.1:8474");
  auto made = options_.make_api({.loop = *loop_,
                                 .registry = registry_,
                                 .events = events_,
                                 .leases = leases_,
                                 .diagnoses = diagnoses_,
                                 .changes = changes_,
                                 .lists = lists_,
                                 .log = log_,
                                 .listens_on = api_.addresses,
                                 .compat_open = config_.now().compat_open.value_or(false),
                                 .http_connections = [this] { return http_.connections(); },
                                 .observer_outputs = [this] { return output_status(); }});
  if (!made) return tl::make_unexpected(made.error());
  served_ = *std::move(made);
  http_.set_gate(served_.gate);
  auto signals = engine::open_signals(true);
  if (!signals) return tl::make_unexpected(signals.error());
  signals_ = *std::move(signals);
  if (auto watched = signal_watch_.watch(signals_.get()); !watched) return watched;
  if (options_.exit_on_eof) {
    if (auto watched = eof_watch_.watch(*options_.exit_on_eof); !watched) {
      return cannot_end(*options_.exit_on_eof, watched.error().message);
    }
  }
  if (auto watched = news_watch_.watch(engine_->news_fd()); !watched) return watched;
  auto watching =
      engine_->attach({.observer = std::make_unique<SessionWatch>(
                           *loop_, [this](std::vector<SessionWatch::Item>&& items) { on_sessions(std::move(items)); }),
                       .ring = {.policy = event::FullPolicy::drop,
                                .mask = event::EventKind::session_opened | event::EventKind::session_closed |
                                        event::EventKind::fault_began}});
  if (!watching) return tl::make_unexpected(watching.error());
  const auto where = bind_api();
  if (!where) return tl::make_unexpected(where.error());
  // Before the workers run, so that whatever fails on one of their loops fails here.
  if (auto failed = apply_first_config(); !failed) return failed;
  if (auto started = engine_->start(); !started) return started;
  if (served_.before_listening) {
    if (auto done = served_.before_listening(); !done) return done;
  }
  told_.begin();
  if (!served_.warning.empty()) log_.warning(served_.warning);
  log_.info(fmt::format("{} {}", options_.listening_text, *where));
  // Whoever waits for the word that we listen may look into the log then.
  log_.flush(std::chrono::milliseconds{200});
  return options_.on_listening(*where);
}

// Unlike later, whatever of it cannot be done is an end: nobody has come to rely on the rest yet.
auto Server::apply_first_config() -> Result<void> {
  for (const ProxyDefinition& proxy : config_.now().proxies) {
    const auto faults = std::make_shared<fault::FaultList>(proxy.faults);
    const auto made = registry_.create(proxy.name, proxy.rules, faults, {.owner = Owner::config});
    if (!made) return failure(fmt::format("{}: proxy {}: {}", options_.config, proxy.name, made.error().message));
  }
  return {};
}

auto Server::output_status() const -> std::vector<view::OutputStatus> {
  std::vector<view::OutputStatus> all;
  for (const auto& output : *outputs_) all.emplace_back(output->status()).name.erase(0, observer_prefix.size());
  return all;
}

void Server::run() { loop_->run(); }

void Server::on_change(const Change& change) {
  Json data{{"proxy", change.proxy}, {"revision", change.revision}};
  if (!change.fault.empty()) data["fault"] = change.fault;
  told_.add_change(change.what, std::move(data), [this, change] {
    if (!change.why.empty()) {
      log_.error(fmt::format("proxy {}: {}", change.proxy, change.why));
    } else if (!change.fault.empty()) {
      log_.info(change.what, {{"proxy", change.proxy}, {"fault", change.fault}});
    } else {
      log_.info(change.what, {{"proxy", change.proxy}});
    }
  });
}

void Server::on_sessions(std::vector<SessionWatch::Item>&& items) {
  for (auto& item : items) {
    if (item.type == "sessions.missed") {
      told_.add_missed(item.data["events"].get<std::uint64_t>());
      continue;
    }
    if (item.type == "verdicts.missed") {
      told_.add_session_event(std::move(item.type), std::move(item.data));
      continue;
    }
    const ProxyEntry* proxy = registry_.find(item.proxy);
    if (proxy == nullptr && item.type == "verdict") continue;  // nobody wants to know any more
    Json data{{"proxy", proxy == nullptr ? Json() : Json(proxy->name)}};
    data.update(item.data);
    session_log_.write(item, data);
    told_.add_session_event(std::move(item.type), std::move(data));
  }
}

void Server::on_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      log_.reopen();
      for (const auto& output : *outputs_) output->reopen();
      if (!drain_.has_begun()) config_.read_again();
    } else {
      obey(drain_.on_signal(loop_->now(), engine_->live_sessions()));
    }
  }
}

void Server::obey(const engine::Drain::Orders& orders) {
  if (orders.stop_accepting) {
    leases_.abandon();  // sessions end as they ran
    changes_.abandon();
    http_.stop();
    remove_unix_paths();  // now, as a successor may listen there while the sessions drain
    engine_->stop_accepting();
  }
  if (!orders.say.empty()) log_.info(orders.say);
  if (orders.end_sessions) engine_->end_sessions(orders.end_sessions->cause, orders.end_sessions->detail);
  if (const auto end = drain_.deadline()) {
    loop_->wheel().arm(*this, *end);
  } else {
    loop_->wheel().disarm(*this);
  }
  on_news();
}

// Level-triggered, so one read does not block, and what else is there is announced again.
void Server::on_eof_readable() {
  std::array<char, 4096> ignored;
  const ssize_t n = ::read(*options_.exit_on_eof, ignored.data(), ignored.size());
  if (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN))) return;
  eof_watch_.stop();
  obey(drain_.begin(loop_->now(), engine_->live_sessions()));
}

void Server::on_lease_end(const std::string& lease, std::function<void()> then) {
  const auto ending = std::make_shared<LeaseEnding>(registry_, lease);
  changes_.add("the end of a lease", [this, lease, ending, then = std::move(then)] {
    if (ending->step()) return true;
    const LeaseEnd& end = ending->end();
    for (const Refusal& why : end.failed) log_.error("a lease ended, but " + why.message);
    told_.add_change("lease.ended",
                     {{"lease", lease}, {"proxies", end.proxies}, {"faults", end.faults}, {"holds", end.holds}}, {});
    then();
    return false;
  });
}

void Server::on_timer() { obey(drain_.on_time(loop_->now())); }

void Server::on_news() {
  const auto news = engine_->take_news();
  for (std::size_t i = 0; i < news.deaf.size(); ++i) {
    log_.warning("an observer's output takes no more; it is not written to any longer");
  }
  if (news.openings_failed) registry_.look_at_openings();
  if (drain_.is_over(news.all_sessions_ended)) http_.finish([this] { loop_->stop(); });
}

}  // namespace

auto serve(const ServeOptions& options) -> Result<void> {
  // Before we open any ourselves, which would get the number of one that is not open.
  if (options.exit_on_eof && ::fcntl(*options.exit_on_eof, F_GETFD) < 0) {
    return cannot_end(*options.exit_on_eof, errno_text(errno));
  }
  engine::block_signals(true);
  (void)net::raise_descriptor_limit();
  net::keep_descriptors_for_control();
  net::make_room_for_descriptors(16'384);  // listeners of two families for Registry::most_proxies, and sessions
  Config config;
  if (!options.config.empty()) {
    auto read = read_config(options.config);
    if (!read) return tl::make_unexpected(read.error());
    config = *std::move(read);
  }
  syslog::TargetLog log;
  if (auto configured = log.configure(log_settings(options, config)); !configured) {
    return failure("the log cannot be written to " + configured.error().message);
  }
  const auto workers = options.workers ? options.workers : config.workers;
  const auto seed = options.seed ? options.seed : config.seed;
  const auto poll = options.poll ? options.poll : config.poll;
  auto loop = net::EventLoop::create(SystemClock::instance());
  if (!loop) return tl::make_unexpected(loop.error());
  auto engine = engine::Engine::create({.workers = workers.value_or(engine::usable_cores()),
                                        .seed = seed.value_or(random_seed()),
                                        .fault_bytes = config.fault_bytes.value_or(engine::default_fault_bytes()),
                                        .poll = poll.value_or(Nanos{})});
  if (!engine) return tl::make_unexpected(engine.error());
  ProxyNames names;
  auto outputs = add_observers(config.observers, **engine, names,
                               [&log](LogLevel level, const std::string& line) { log.write(level, line, {}); });
  if (!outputs) return tl::make_unexpected(outputs.error());
  Server server(options, std::move(config), log, *std::move(loop), *std::move(engine));
  server.know(names);
  server.write_to(*outputs);
  if (auto started = server.start(); !started) return started;
  server.run();
  if (server.stop()) return {};
  // Its thread is stuck in a write that nobody reads; unwinding would wait for it for ever.
  log.error("the reader of an observer's output did not take its last lines; they are lost");
  log.flush(std::chrono::milliseconds{200});
  ::_exit(1);
}

}  // namespace weir::control
