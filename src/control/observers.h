// Views that a configuration file asks for: the traffic of some proxies, written to files while it passes.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "control/json.h"
#include "control/strict_fields.h"
#include "engine/engine.h"
#include "view/view.h"

namespace weir::control {

// What proxies are called, for the observers' threads. Any thread.
class ProxyNames {
 public:
  void add(ProxyId id, const std::string& name);
  // The proxy is gone. Its last events may still be on their way: its name stays until so many others have gone.
  void remove(ProxyId id);
  static constexpr std::size_t gone_remembered = 4096;
  // Empty: it is not known, or not any more.
  [[nodiscard]] auto name(ProxyId id) const -> std::string;

 private:
  mutable std::mutex mutex_;
  std::map<ProxyId, std::string> names_;
  std::deque<ProxyId> gone_;  // the oldest first
};

// One [[observers]] of the file.
struct ObserverRule {
  view::ViewOptions view;
  std::string output;                // a file's path; "stdout"
  std::vector<std::string> proxies;  // by name; none: all
  event::FullPolicy when_slow = event::FullPolicy::drop;
  std::optional<std::uint64_t> rotate_size;  // as of view::OutputOptions
  std::optional<Nanos> rotate_every;
  Json effective;  // all values, as the file says them

  // The same is written, to the same place.
  auto operator==(const ObserverRule& other) const -> bool;
};
[[nodiscard]] auto read_observer(const Json& object, const std::string& path) -> tl::expected<ObserverRule, FieldError>;

// The observers' files while they are written to; they go after the engine.
inline constexpr std::string_view observer_prefix = "observer ";  // of an output's name in messages
using ObserverOutputs = std::vector<std::unique_ptr<view::Output>>;
// Opens the files and gives the engine, before it starts, the views. `names` outlives the engine. `say` is told, on an
// observer's thread, when a file cannot be written to for a time, and when it can again; it outlives the engine too.
[[nodiscard]] auto add_observers(const std::vector<ObserverRule>& rules, engine::Engine& engine,
                                 const ProxyNames& names, const std::function<void(LogLevel, const std::string&)>& say)
    -> Result<ObserverOutputs>;

}  // namespace weir::control
