// How fast live sessions are now.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "engine/engine.h"

namespace weir::api {

// Rates between looks: a session has no memory to spare for counting its own, so each look at the sessions is
// kept and the next one compared with it. The control thread only; memory: two looks, as long as their lists.
class SessionRates {
 public:
  struct Rate {
    double upstream = 0;  // bytes per second
    double downstream = 0;
  };
  // Takes a list as it was read at `now`.
  void look(const engine::SessionList& list, MonoTime now);
  // Of a session in that list, since a look at least `shortest` before it; none if there was none within
  // `longest`, or if the session was open then and not among those looked at.
  [[nodiscard]] auto of(const engine::SessionInfo& session) const -> std::optional<Rate>;

  static constexpr Nanos shortest = std::chrono::milliseconds{200};  // less says little
  static constexpr Nanos longest = std::chrono::seconds{60};

 private:
  using Bytes = std::map<std::pair<ProxyId, SessionNumber>, std::array<std::uint64_t, 2>>;
  struct Look {
    MonoTime at{};
    Bytes bytes;
  };
  MonoTime now_{};  // of the last look
  // Shared, so that a copy of this keeps what it would say now, and costs nothing.
  std::shared_ptr<const Look> base_;  // what the last look is compared with; or null
  std::shared_ptr<const Look> next_;  // and what later ones will be; or null
};

}  // namespace weir::api
