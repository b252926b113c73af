#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diagnose/pause.h"

namespace weir::diagnose {

// How much a verdict can be trusted.
enum class Certainty : std::uint8_t {
  likely,  // the rule's signals, which other causes may give too
  shown,   // signals that exclude every look-alike
  proven,  // the stall went away when its cause was taken away, or a packet or the peer's own socket shows it
};
[[nodiscard]] auto to_string(Certainty certainty) -> std::string_view;

// A value that a verdict rests on: "gap_ms" = "40.8", "piece" = "128".
struct Evidence {
  std::string_view name;
  std::int64_t value;  // nanoseconds where the name ends in _ns, else a count or bytes
};

// What a rule says of a pause that it claims.
struct Finding {
  Side side{};
  Certainty certainty = Certainty::likely;
  std::string text;  // what was done, without a subject: "writes each request in two pieces; ..."
  std::string fix;   // one sentence in the imperative; empty: there is nothing to change
  std::vector<Evidence> evidence{};
  std::string proof{};  // what proves it, a clause; empty where nothing does
};

// A reason for lost time. One file a cause, causes/NAME.cpp; the rules are asked in the order of causes.def, and the
// first that claims a pause owns it.
struct CauseInfo {
  std::string_view name;         // a contract: verdicts, metrics, docs and tests use it
  std::string_view doc;          // one line
  std::string_view signals;      // what the rule looks at
  std::string_view look_alikes;  // and what tells them apart; empty: none
  std::optional<Finding> (*judge)(const Pause& pause) = nullptr;
};

#define WEIR_CAUSE(name) extern const CauseInfo name##_cause;
#include "diagnose/causes.def"
#undef WEIR_CAUSE

// In the order in which the rules are asked.
[[nodiscard]] auto causes() -> std::span<const CauseInfo* const>;
[[nodiscard]] auto find_cause(std::string_view name) -> const CauseInfo*;

// Why one pause was: the first rule's finding, or `unknown`. Never null.
struct Verdict {
  const CauseInfo* cause = nullptr;
  Finding finding;
};
[[nodiscard]] auto judge(const Pause& pause) -> Verdict;

// What the delay of an acknowledgement takes: 40 ms and a little on Linux, up to 200 ms elsewhere and where it adapts
// (tcp_delack_min, tcp_delack_max; facts measured: 36 to 60 and 190 to 230 ms).
[[nodiscard]] auto is_delayed_ack(Nanos length) -> bool;

}  // namespace weir::diagnose
