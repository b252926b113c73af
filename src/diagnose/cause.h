#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diagnose/pause.h"
#include "diagnose/session_timeline.h"

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

// Exchanges before the one that is judged, of which the same is known only now: they were told as what a rule says that
// knows less.
struct Earlier {
  std::uint64_t times = 0;
  Nanos answers{};  // of server_answers
  Nanos waits{};    // of client_waits
  Nanos sends{};    // of server_sends or client_sends
  [[nodiscard]] auto lost() const -> Nanos { return answers + waits + sends; }
};

// What a rule says of a pause that it claims.
struct Finding {
  Side side{};
  Certainty certainty = Certainty::likely;
  std::string text;  // what was done, without a subject: "writes each request in two pieces; ..."
  std::string fix;   // one sentence in the imperative; empty: there is nothing to change
  std::vector<Evidence> evidence{};
  std::string proof{};  // what proves it, a clause; empty where nothing does
  Earlier earlier{};
};

// An exchange that has ended, for rules that need the whole of it.
struct ExchangeView {
  const Exchange& exchange;
  // By Segment: what no rule of a pause owns, but those that only say who took the time (think, client_think, unknown),
  // nor an exchange's rule before this one. Of client_waits, the time before the exchange.
  std::array<Nanos, segment_count> free{};
  // How many exchanges in a row, with this one, had a request of its shape, and each less than a round trip before it;
  // 0 where no round trip is worth speaking of. `earlier`: what their round trips took.
  std::uint64_t alike = 0;
  Earlier earlier{};
  std::uint64_t same_answers = 1;  // of its session that were the same, with this one

  [[nodiscard]] auto free_in(Segment segment) const -> Nanos { return free.at(static_cast<std::size_t>(segment)); }
};
// What a rule claims of an exchange: of each segment at most so much.
struct ExchangeClaim {
  Finding finding;
  std::array<Nanos, segment_count> most{};
  auto of(Segment segment, Nanos length) -> ExchangeClaim& {
    most.at(static_cast<std::size_t>(segment)) = length;
    return *this;
  }
};

// The stretches of a session before its first request that no rule of a pause owns.
enum class Stretch : std::uint8_t { connecting, tls_handshake, setup };
inline constexpr std::size_t stretch_count = 3;
struct SessionView {
  std::array<Nanos, stretch_count> free{};
  std::array<unsigned, stretch_count> exchanges{};  // that they took
  std::uint64_t requests = 0;                       // exchanges behind them
  Nanos request_time{};
  std::string_view protocol;          // of the setup
  unsigned alike = 0;                 // sessions of this client before it, in a row, that had a single request as well
  bool has_ended = false;             // else it goes on, and is long
  std::array<Nanos, 2> round_trip{};  // the least of each leg, by LegName

  [[nodiscard]] auto free_in(Stretch stretch) const -> Nanos { return free.at(static_cast<std::size_t>(stretch)); }
  [[nodiscard]] auto exchanges_in(Stretch stretch) const -> unsigned {
    return exchanges.at(static_cast<std::size_t>(stretch));
  }
  [[nodiscard]] auto whole() const -> Nanos {
    return free_in(Stretch::connecting) + free_in(Stretch::tls_handshake) + free_in(Stretch::setup) + request_time;
  }
};
struct SessionClaim {
  Finding finding;
  Stretch stretch{};
};

// A reason for lost time. One file a cause, causes/NAME.cpp; the rules are asked in the order of causes.def, and the
// first that claims a stretch of time owns it. First those of a pause, as it ends; then, of what those left, those of
// the exchange; last those of the session. A cause has at least one of them.
struct CauseInfo {
  std::string_view name;         // a contract: verdicts, metrics, docs and tests use it
  std::string_view doc;          // one line
  std::string_view signals;      // what the rule looks at
  std::string_view look_alikes;  // and what tells them apart; empty: none
  std::optional<Finding> (*judge)(const Pause& pause) = nullptr;
  // A request that was never answered: its pause ends with the session.
  std::optional<Finding> (*judge_unanswered)(const Pause& pause) = nullptr;
  std::optional<ExchangeClaim> (*judge_exchange)(const ExchangeView& view) = nullptr;
  std::optional<SessionClaim> (*judge_session)(const SessionView& view) = nullptr;
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
// Why a request was never answered; none: no rule knows.
[[nodiscard]] auto judge_unanswered(const Pause& pause) -> std::optional<Verdict>;

// Says only who took the time: a rule of the exchange or the session may know more.
[[nodiscard]] auto says_only_who(const CauseInfo& cause) -> bool;

// What the delay of an acknowledgement takes: 40 ms and a little on Linux, up to 200 ms elsewhere and where it adapts
// (tcp_delack_min, tcp_delack_max; facts measured: 36 to 60 and 190 to 230 ms). The ACK and what it releases travel
// besides: round_trip is the leg's least.
[[nodiscard]] auto is_delayed_ack(Nanos length, Nanos round_trip = {}) -> bool;

}  // namespace weir::diagnose
