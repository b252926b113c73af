// The configuration file of `weir serve`: TOML, typed as a whole before anything is done with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/listen_address.h"
#include "base/log.h"
#include "control/log_choice.h"
#include "control/observers.h"
#include "control/proxy_json.h"

namespace weir::control {

class Registry;

struct Config {
  std::optional<std::uint64_t> seed;
  std::optional<unsigned> workers;
  std::optional<Nanos> poll;  // see engine/polling.h
  std::optional<ListenAddress> api;
  std::optional<bool> compat_open;
  std::optional<std::uint64_t> fault_bytes;
  LogChoice log;
  std::vector<ObserverRule> observers;
  proxy::Timeouts timeouts;  // the defaults of the proxies, and the drain time of all
  std::vector<ProxyDefinition> proxies;
};

// `file` names the text in errors: "weir.toml:12: proxies[0].lisen: there is no key ...".
[[nodiscard]] auto parse_config(std::string_view text, const std::string& file) -> Result<Config>;
[[nodiscard]] auto read_config(const std::string& path) -> Result<Config>;
// Whether no two sockets could listen on one and the other.
[[nodiscard]] auto collide(const ListenAddress& one, const ListenAddress& other) -> bool;
// What two parts of it may not say at once: two that listen in one place, an observer of a proxy that is not there.
// parse_config asks it.
[[nodiscard]] auto find_conflict(const Config& config) -> std::optional<FieldError>;
// Whether what it writes to and listens on could be made here: directories and their rights, and that no proxy listens
// where its API would. Makes nothing, and does
// not ask whether a port is free, as a running weir may have it.
[[nodiscard]] auto check_machine(const Config& config) -> Result<void>;
// Every value in force, as a file that says the same.
[[nodiscard]] auto effective_config(const Config& config) -> std::string;

// Brings the registry from what one file said to what another says, in steps of one proxy each (control/turns.h). What
// is in both stays untouched with its sessions, and so does what the API made. Nothing is changed if a name that the
// new file adds is taken by a proxy of the API's when the change begins; what fails later, such as a taken port, is
// told to the log and the rest is done. The control thread only; `before`, the registry and the log outlive it.
class ConfigChange {
 public:
  ConfigChange(const Config& before, Config after, Registry& registry, Log& log);
  ConfigChange(const ConfigChange&) = delete;
  auto operator=(const ConfigChange&) -> ConfigChange& = delete;

  // False: it is done, or refused.
  [[nodiscard]] auto step() -> bool;
  // Once it is done: why nothing was changed.
  [[nodiscard]] auto refused() const -> const std::optional<Error>& { return refused_; }
  // Once it is done: `after` as it was applied. A rule that failed is as it was before, so that the next file tries it
  // again.
  [[nodiscard]] auto take() -> Config { return std::move(after_); }

 private:
  using ByName = std::unordered_map<std::string_view, const ProxyDefinition*>;
  enum class Phase : std::uint8_t { checking, removing, making_way, applying, done };
  [[nodiscard]] auto check(const ProxyDefinition& proxy) -> bool;
  void remove(const ProxyDefinition& proxy);
  void make_way(const ProxyDefinition& proxy);
  void apply(ProxyDefinition& proxy);
  void next_phase(Phase phase);

  const Config& before_;
  Config after_;
  Registry& registry_;
  Log& log_;
  ByName proxies_before_;
  ByName proxies_after_;
  std::vector<const ProxyDefinition*> newcomers_;  // of `after_`: each will listen where it does not yet
  std::vector<ProxyDefinition> applied_;
  std::optional<Error> refused_;
  Phase phase_ = Phase::checking;
  std::size_t at_ = 0;  // in the list of the phase
};

}  // namespace weir::control
