#include "control/config_file.h"

#include <exception>
#include <memory>
#include <utility>

namespace weir::control {

ConfigFile::~ConfigFile() {
  if (reader_.joinable()) reader_.join();
}

// A defect of ours must not end everybody's sessions, hence the catches.
void ConfigFile::read_again() {
  if (path_.empty()) return parts_.log.info("SIGHUP: there is no configuration file to read again");
  if (std::exchange(busy_, true)) {
    once_more_ = true;  // what is being read may be older than the signal
    return;
  }
  try {
    begin();
  } catch (const std::exception& error) {
    parts_.log.error(fmt::format("{}: reading it again failed: {}", path_, error.what()));
    busy_ = false;
  }
}

void ConfigFile::begin() {
  if (reader_.joinable()) reader_.join();  // it has posted its last word
  reader_ = std::thread([this] {
    auto read = std::make_shared<Result<Config>>();
    try {
      *read = read_config(path_);
    } catch (const std::exception& error) {
      *read = failure(fmt::format("{}: reading it again failed: {}", path_, error.what()));
    }
    parts_.loop.post([this, read] { on_read(std::move(*read)); });
  });
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
                              config.workers != now_.workers || config.fault_bytes != now_.fault_bytes ||
                              config.api != now_.api;
  now_ = std::move(config);
  parts_.on_applied(now_);
  parts_.log.info(
      fmt::format("{}: read again{}", path_,
                  restart_needed ? "; seed, workers, api, limits and observers change with the next start" : ""));
}

void ConfigFile::finish() {
  busy_ = false;
  if (std::exchange(once_more_, false)) read_again();
}

}  // namespace weir::control
