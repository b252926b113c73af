#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diagnose/cause.h"
#include "diagnose/ledger.h"

namespace weir::diagnose {

// Sees to it that each stretch of one session's time has one owner. What a rule of a pause claims is told at once; what
// only says who took the time waits for the rules of its exchange, and before the first request for those of the
// session. It keeps at most `most_held` verdicts.
class Attribution {
 public:
  static constexpr std::size_t most_held = 64;

  struct Owner {
    Ledger& ledger;
    std::function<const std::string&(Side)> who;
    std::function<std::string(Side)> towards;
    std::function<void(const ToldVerdict&)> tell;  // into the ledger, and to whoever reads along
    // How many sessions in a row of the same client, before this one, had a single request; on its end, which `single`
    // says whether it is one of them.
    std::function<unsigned(bool single)> on_end;
  };
  Attribution(Owner owner, SessionNumber session) : owner_(std::move(owner)), session_(session) {}

  void on_pause(const Pause& pause, const ToldVerdict& told);
  void on_exchange(const Exchange& exchange);
  // A pattern of many sessions claims so much of the exchange that is open.
  void own(Segment segment, Nanos length) { owned_.at(static_cast<std::size_t>(segment)) += length; }
  void on_unanswered(const Pause& pause, const ToldVerdict& told);
  // connecting: how long that took, whether or not it was a pause.
  void on_connected(Nanos connecting);
  void on_protocol(std::string_view protocol) { session_view_.protocol = protocol; }
  // Events were missed: what follows is counted anew.
  void forget();
  // The session has ended.
  void end();

 private:
  struct Held {
    ToldVerdict told;
    Segment segment{};
  };
  // Exchanges alike, one behind the other.
  struct Run {
    std::uint64_t shape = 0;
    std::uint64_t count = 0;
    std::uint64_t others = 0;  // among them, that a hiccup made longer; not counted
    Earlier earlier;
  };
  // Before the first request.
  struct Opening {
    std::vector<Held> connecting;
    std::vector<Held> tls;
    std::vector<Held> setup;
    [[nodiscard]] auto size() const -> std::size_t { return connecting.size() + tls.size() + setup.size(); }
  };

  void claim(const ExchangeView& view, const CauseInfo& cause, const ExchangeClaim& claim);
  void judge_exchange(const Exchange& exchange);
  void hold_opening(const Exchange& exchange);
  void settle();
  void settle(Stretch stretch, const CauseInfo* cause, const Finding& finding);
  void tell_held();
  [[nodiscard]] auto count_same(const Exchange& exchange) -> std::uint64_t;
  auto count_run(const Exchange& exchange) -> bool;
  [[nodiscard]] auto free_of(const Exchange& exchange) const -> std::array<Nanos, segment_count>;
  [[nodiscard]] auto told_of(const CauseInfo& cause, const Finding& finding) const -> ToldVerdict;
  [[nodiscard]] auto held_in(Stretch stretch) -> std::vector<Held>&;

  Owner owner_;
  SessionNumber session_;
  std::array<Nanos, segment_count> owned_{};  // of the open exchange, by rules of a pause; of client_waits, before it
  std::vector<Held> held_;                    // of the open exchange
  Run run_;
  struct Answer {
    std::uint64_t hash = 0;
    std::uint64_t bytes = 0;
    std::uint64_t times = 0;
  };
  std::unique_ptr<std::array<Answer, 8>> answers_;  // large ones, the newest kinds; null: there was none
  std::size_t next_answer_ = 0;
  Opening opening_;
  SessionView session_view_;
  bool is_settled_ = false;
};

}  // namespace weir::diagnose
