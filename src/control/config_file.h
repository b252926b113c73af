#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "control/config.h"
#include "control/turns.h"
#include "net/event_loop.h"
#include "syslog/target_log.h"

namespace weir::control {

// The configuration file of a running process: read again and applied when a signal asks for it. Thousands of proxies
// take longer than the loop may be held up, so the text is parsed on a thread of its own, and applied in steps. The
// control thread only, but for what is said otherwise.
class ConfigFile {
 public:
  // All of it outlives this.
  struct Parts {
    net::EventLoop& loop;
    Turns& changes;
    Registry& registry;
    syslog::TargetLog& log;
    std::function<syslog::LogSettings(const Config&)> log_settings;  // what a file's log comes to
    std::function<void(const Config&)> on_applied;
  };
  // `path`: empty if there is no file. `first`: what it said at the start, or nothing.
  ConfigFile(std::string path, Config first, Parts parts)
      : path_(std::move(path)), now_(std::move(first)), parts_(std::move(parts)) {}
  // Waits for the parsing that is under way.
  ~ConfigFile();
  ConfigFile(const ConfigFile&) = delete;
  auto operator=(const ConfigFile&) -> ConfigFile& = delete;

  // As it was last read and applied.
  [[nodiscard]] auto now() const -> const Config& { return now_; }
  // Reads its text, and parses and applies it later; the log says what comes of it. While that is under way, the text
  // waits for its end, and the one that was read last counts.
  void read_again();

 private:
  void begin(std::string text);
  void parse(const std::string& text, Result<Config>& read) const;
  void on_read(Result<Config> config);
  void on_done(ConfigChange& change, const syslog::LogSettings& log_before);
  void finish();

  std::string path_;
  Config now_;
  Parts parts_;
  std::thread parser_;
  bool busy_ = false;
  std::optional<std::string> next_;
};

}  // namespace weir::control
