#include "view/view.h"

#include <array>
#include <utility>

#include "view/json_view.h"
#include "view/lines_view.h"
#include "view/raw_view.h"

namespace weir::view {
namespace {

constexpr std::array<std::pair<std::string_view, ViewKind>, 6> kinds{{{"text", ViewKind::text},
                                                                      {"hex", ViewKind::hex},
                                                                      {"dump", ViewKind::dump},
                                                                      {"json", ViewKind::json},
                                                                      {"raw", ViewKind::raw},
                                                                      {"none", ViewKind::none}}};

class NoView final : public View {
 public:
  void on_event(const event::Event&, Nanos) override {}
  void on_verdict(const event::Verdict&, Nanos) override {}
  auto flush() -> bool override { return true; }
};

}  // namespace

auto parse_view_kind(std::string_view text) -> Result<ViewKind> {
  for (const auto& [name, kind] : kinds) {
    if (name == text) return kind;
  }
  return failure(fmt::format("\"{}\" is not a view: choose text, hex, dump, json, raw or none", text));
}

auto to_string(ViewKind kind) -> std::string_view { return kinds[static_cast<std::size_t>(kind)].first; }

auto parse_direction(std::string_view text) -> Result<Direction> {
  if (text == "upstream") return Direction::upstream;
  if (text == "downstream") return Direction::downstream;
  return failure(fmt::format(
      "\"{}\" is not a direction: choose upstream (client to server) or downstream (server to client)", text));
}

auto required_events(const ViewOptions& options) -> event::EventMask {
  using event::EventKind;
  switch (options.kind) {
    case ViewKind::text:
    case ViewKind::hex:
    case ViewKind::dump:
    case ViewKind::json:
      return EventKind::session_opened | EventKind::chunk_read | EventKind::chunk_bytes | EventKind::half_closed |
             EventKind::session_closed;
    case ViewKind::raw: return EventKind::chunk_read | EventKind::chunk_bytes;
    case ViewKind::none: return 0;
  }
  return 0;
}

auto ring_options(const ViewOptions& options, event::FullPolicy when_slow) -> event::RingOptions {
  event::RingOptions ring{.policy = when_slow, .mask = required_events(options), .filter = options.filter};
  if (options.only) ring.directions[index(other(*options.only))] = false;
  return ring;
}

auto parse_full_policy(std::string_view text) -> Result<event::FullPolicy> {
  if (text == "block") return event::FullPolicy::block;
  if (text == "drop") return event::FullPolicy::drop;
  return failure("write drop or block");
}

auto make_view(const ViewOptions& options, Output& output) -> std::unique_ptr<View> {
  switch (options.kind) {
    case ViewKind::text:
    case ViewKind::hex:
    case ViewKind::dump: return std::make_unique<LinesView>(options, output);
    case ViewKind::json: return std::make_unique<JsonView>(options, output);
    case ViewKind::raw: return std::make_unique<RawView>(options, output);
    case ViewKind::none: break;
  }
  return std::make_unique<NoView>();
}

}  // namespace weir::view
