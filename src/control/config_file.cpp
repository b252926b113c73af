#include "control/config_file.h"

#include <exception>
#include <memory>
#include <new>
#include <utility>

#include "base/out_of_memory.h"
#include "control/file_text.h"

namespace weir::control {

ConfigFile::~ConfigFile() {
  if (parser_.joinable()) parser_.join();
}

// A defect of ours must not end everybody's sessions, hence the catches.
void ConfigFile::read_again() {
  if (path_.empty()) return parts_.log.info("SIGHUP: there is no configuration file to read again");
  // Now, as its writer may begin the next version at any time after the signal: half a file could be one that says
  // less.
  auto text = read_text(path_);
  if (!text) return parts_.log.error(text.error().message + "; nothing was changed");
  if (std::exchange(busy_, true)) {
    next_ = *std::move(text);
    return;
  }
  begin(*std::move(text));
}

void ConfigFile::begin(std::string text) {
  if (parser_.joinable()) parser_.join();  // it has posted its last word
  try {
    // Made now, while there is somebody who can say that there is no memory for it.
    const auto read = std::make_shared<Result<Config>>(failure(path_ + ": reading it again failed: no memory"));
    auto outcome = net::EventLoop::prepare([this, read] { on_read(std::move(*read)); });
    parser_ = std::thread([this, text = std::move(text), read, outcome = std::move(outcome)]() mutable {
      (void)contained([&] { parse(text, *read); });
      parts_.loop.post(std::move(outcome));
    });
  } catch (const std::exception& error) {
    parts_.log.error(fmt::format("{}: reading it again failed: {}", path_, error.what()));
    busy_ = false;
  }
}

// On the thread of its own.
void ConfigFile::parse(const std::string& text, Result<Config>& read) const {
  try {
    read = parse_config(text, path_);
  } catch (const std::bad_alloc&) {
    throw;  // then `read` says so already
  } catch (const std::exception& error) {
    read = failure(fmt::format("{}: reading it again failed: {}", path_, error.what()));
  }
}

void ConfigFile::on_read(Result<Config> config) {
  syslog::TargetLog& log = parts_.log;
  if (!config) {
    log.error(config.error().message + "; nothing was changed");
    return finish();
  }
  const auto log_before = log.settings();
  if (auto set = log.configure(parts_.log_settings(*config)); !set) {
    log.error(fmt::format("{}: log: {}; nothing was changed", path_, set.error().message));
    return finish();
  }
  const auto change = std::make_shared<ConfigChange>(now_, *std::move(config), parts_.registry, log);
  parts_.changes.add(path_, [this, change, log_before] {
    try {
      if (change->step()) return true;
      on_done(*change, log_before);
    } catch (const std::exception& error) {
      parts_.log.error(fmt::format("{}: reading it again failed: {}", path_, error.what()));
    }
    finish();
    return false;
  });
}

void ConfigFile::on_done(ConfigChange& change, const syslog::LogSettings& log_before) {
  if (change.refused()) {
    (void)parts_.log.configure(log_before);
    return parts_.log.error(fmt::format("{}: {}; nothing was changed", path_, change.refused()->message));
  }
  Config config = change.take();
  const bool restart_needed = config.observers != now_.observers || config.seed != now_.seed ||
                              config.workers != now_.workers || config.poll != now_.poll ||
                              config.fault_bytes != now_.fault_bytes || config.api != now_.api;
  now_ = std::move(config);
  parts_.on_applied(now_);
  parts_.log.info(
      fmt::format("{}: read again{}", path_,
                  restart_needed ? "; seed, workers, poll, api, limits and observers change with the next start" : ""));
}

void ConfigFile::finish() {
  if (auto next = std::exchange(next_, std::nullopt)) return begin(*std::move(next));
  busy_ = false;
}

}  // namespace weir::control
