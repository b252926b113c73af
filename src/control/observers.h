// Views that a configuration file asks for: the traffic of some proxies, written to files while it passes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
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
  Json effective;  // all values, as the file says them

  // The same is written, to the same place.
  auto operator==(const ObserverRule& other) const -> bool;
};
[[nodiscard]] auto read_observer(const Json& object, const std::string& path) -> tl::expected<ObserverRule, FieldError>;

// An observer's file while it is written to. It goes after the engine.
struct ObserverOutput {
  Fd file;
  std::unique_ptr<view::Output> output;
};
// Opens the files and gives the engine, before it starts, the views. `names` outlives the engine.
[[nodiscard]] auto add_observers(const std::vector<ObserverRule>& rules, engine::Engine& engine,
                                 const ProxyNames& names) -> Result<std::vector<ObserverOutput>>;

}  // namespace weir::control
