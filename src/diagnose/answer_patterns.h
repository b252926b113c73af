// What the answers of all sessions of one upstream say together, that none says alone: a queue in front of one worker
// or of several, a tick, a standstill. Pure functions over times; the false claims they must not make are worse than
// the ones they miss: independent service times, a lone client and a busy machine have no pattern.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "diagnose/cause.h"
#include "event/session_key.h"

namespace weir::diagnose {

// A request that was passed on, and when the first byte of its answer came, at least least_pause later.
struct SlowAnswer {
  event::SessionKey session{};
  MonoTime asked{};
  MonoTime answered{};
  [[nodiscard]] auto length() const -> Nanos { return answered - asked; }
};

// A time in which no byte came from the upstream, in any session.
struct Silence {
  MonoTime begin{};
  MonoTime end{};
  [[nodiscard]] auto length() const -> Nanos { return end - begin; }
};

// Why the answers of a pattern took their time.
struct Pattern {
  const CauseInfo* cause = nullptr;
  Finding finding;
};

// For each answer the pattern that explains it; null: none. `answers` in the order in which they came, at most a few
// hundred; `silences` in the order of time, those of at least least_silence.
inline constexpr Nanos least_silence = std::chrono::milliseconds{5};
[[nodiscard]] auto find_patterns(std::span<const SlowAnswer> answers, std::span<const Silence> silences)
    -> std::vector<std::shared_ptr<const Pattern>>;

// How sure a pattern is, as the logarithm of one over the chance that independent answers look so: one in ten million.
inline constexpr double least_surprise = 16.0;

// The single patterns; each claims those that no pattern has claimed before.
using Claims = std::span<std::shared_ptr<const Pattern>>;
void find_standstills(std::span<const SlowAnswer> answers, std::span<const Silence> silences, Claims claims);
void find_tick(std::span<const SlowAnswer> answers, Claims claims);
void find_queue(std::span<const SlowAnswer> answers, Claims claims);

}  // namespace weir::diagnose
