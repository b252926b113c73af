// Room view/, floor 6: prints events for people and scripts - as text, hex, a hex dump, JSON lines or
// the raw bytes. Includes base/ and event/ only; proxy/ makes the events, engine/ hands them over, and
// neither is known here. A view runs on its observer's own thread, so nothing here is locked.
// Start with this file, then printing_view.h (what all views have in common), lines_view.h
// and json_view.h (what it looks like), output.h (where it goes). docs/json-view.md is the contract
// of --show json.
//
// What a view costs, on its own thread: measured by hand with make_view over /dev/null, one event in
// a loop of millions, best of 3 (g++ 12 -O2, two cores of an AMD EPYC shared with other work).
//   a chunk of 64 bytes:   text 105-150 ns, hex 100-175, dump 200-245, json 105-140 (random bytes,
//                          as base64: 140-175; every tenth character not ASCII: 440-520), raw 15-25
//   chunks of 128 KiB:     text 1.8-2.1 GB/s of lines of 60 characters and 0.76 of random bytes,
//                          hex 1.2-2.3, dump 0.25-0.5, json 1.3 of lines and 0.9-1.0 as base64
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "event/event.h"
#include "event/ring.h"
#include "event/verdict.h"
#include "view/output.h"
#include "view/terminal.h"

namespace weir::view {

// --show. Control characters of a peer reach the output in raw only.
enum class ViewKind : std::uint8_t {
  text,  // a header a chunk, then what is printable as it is and all else as %xx
  hex,   // the same header, all bytes as xx
  dump,  // the same header, then as `hexdump -C` with offsets in the direction's stream
  json,  // one JSON object a line: docs/json-view.md
  raw,   // the payload bytes and nothing else: no session lines, no gaps
  none,  // nothing at all
};

struct ViewOptions {
  ViewKind kind = ViewKind::text;
  std::optional<Direction> only{};        // chunks of the other direction are left out; session lines stay
  std::optional<std::uint64_t> limit{};   // bytes shown of each chunk; the rest is counted as cut. 0: none
  bool color = false;                     // text, hex and dump; see resolve_color()
  bool utf8 = false;                      // arrows, and text above U+007F, as they are; see is_utf8_locale()
  std::string grep{};                     // chunks that do not hold these bytes are left out; session lines stay
  std::optional<std::uint64_t> chunks{};  // so many are shown, then flush() is false; none: no limit. Not 0
  event::SessionFilter filter{};          // other sessions are left out as a whole
  // Names by ProxyId. With more than one, every line says which proxy it is about.
  std::vector<std::string> proxies{};
  // Where proxies come and go: asked once for each, on the observer's thread. Not with `proxies`.
  std::function<std::string(ProxyId)> name_of{};
};

// "text", "hex", ...; the error names them.
[[nodiscard]] auto parse_view_kind(std::string_view text) -> Result<ViewKind>;
[[nodiscard]] auto to_string(ViewKind kind) -> std::string_view;

// --only: "upstream" or "downstream"; the error names them.
[[nodiscard]] auto parse_direction(std::string_view text) -> Result<Direction>;

// The events the view must get; the others may be left unmade. None for ViewKind::none: such a view
// needs no ring, and the directions stay unobserved.
[[nodiscard]] auto required_events(const ViewOptions& options) -> event::EventMask;

// The rings that a view of these options reads: what it does not show is not put into them.
[[nodiscard]] auto ring_options(const ViewOptions& options, event::FullPolicy when_slow) -> event::RingOptions;
// "block" or "drop"; the error names them.
[[nodiscard]] auto parse_full_policy(std::string_view text) -> Result<event::FullPolicy>;

// A printer of events, and of what a diagnosis says of them.
class View : public event::Observer {
 public:
  // A pause that events before it ended; the views for people and json print it. On the observer's thread.
  virtual void on_verdict(const event::Verdict& verdict, Nanos wall_offset) = 0;
};

// A printer of events to `output`, which must outlive it. Its flush() is false once the output is
// closed. What it keeps is bounded by the sessions that live. Never null.
[[nodiscard]] auto make_view(const ViewOptions& options, Output& output) -> std::unique_ptr<View>;

}  // namespace weir::view
