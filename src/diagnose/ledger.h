#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/histogram.h"
#include "diagnose/cause.h"
#include "diagnose/session_timeline.h"

namespace weir::diagnose {

// One pause with its cause, as it is told.
struct ToldVerdict {
  SessionNumber session{};
  std::uint64_t exchange = 0;
  MonoTime begin{};
  Nanos length{};
  const CauseInfo* cause = nullptr;
  Side side{};
  std::string who;
  std::string towards;  // a client's server, where there may be several; else empty
  Certainty certainty{};
  std::string text;
  std::string fix;
  std::vector<Evidence> evidence;
  std::string proof;        // what proves it, a clause; empty where nothing does
  Earlier earlier{};        // exchanges before it, of which the same is known now
  std::string text_before;  // the stream at the cut; empty unless the pause is inside a message
  std::string text_behind;
};

// How long exchanges took, in fixed steps.
struct ExchangeTimes {
  static constexpr std::array<Nanos, 13> bounds{
      std::chrono::microseconds{500}, std::chrono::milliseconds{1},   std::chrono::microseconds{2500},
      std::chrono::milliseconds{5},   std::chrono::milliseconds{10},  std::chrono::milliseconds{25},
      std::chrono::milliseconds{50},  std::chrono::milliseconds{100}, std::chrono::milliseconds{250},
      std::chrono::milliseconds{500}, std::chrono::seconds{1},        std::chrono::milliseconds{2500},
      std::chrono::seconds{5}};
  std::array<std::uint64_t, bounds.size() + 1> counts{};  // that took at most bounds[i] and longer than the one before
  Nanos sum{};
  void add(Nanos length);
};

// What a cause cost on a side, whoever it was.
struct Loss {
  const CauseInfo* cause = nullptr;
  Side side{};
  Nanos lost{};
};

// What one cause cost on one side.
struct CauseSum {
  const CauseInfo* cause = nullptr;
  Side side{};
  std::string who;
  std::string towards;
  Certainty certainty{};  // the strongest
  std::string proof;      // what proved it, a clause; empty: nothing did
  std::uint64_t times = 0;
  Nanos lost{};
  Histogram lengths{};
  ToldVerdict longest;  // its length is 0 where no single pause was long enough to be judged
};

// All that was seen until now.
struct Report {
  std::uint64_t sessions = 0;
  std::uint64_t exchanges = 0;
  std::uint64_t unanswered = 0;     // requests whose response had not begun when their session ended
  Nanos span{};                     // from the first event to the last
  Nanos exchange_time{};            // of all exchanges and requests, and of connecting: what the shares are shares of
  Nanos idle{};                     // between exchanges, of all sessions: client_think, which is in no share
  std::uint64_t looks = 0;          // at sockets of peers on this host
  std::uint64_t looks_skipped = 0;  // that were left out, as there were too many
  std::uint64_t missed = 0;         // events that were not seen, as the ring was full
  std::vector<CauseSum> causes;     // without client_think, by lost time, the largest first
  std::vector<ToldVerdict> worst;   // the longest pauses, without client_think, the longest first
};

// The sums, in bounded memory: at most `most_rows` rows and `most_worst` single verdicts.
class Ledger {
 public:
  static constexpr std::size_t most_rows = 256;
  static constexpr std::size_t most_worst = 100;

  void add(const ToldVerdict& verdict);
  // The time that a server took to answer an exchange, where no other cause claimed it.
  void add_think(const std::string& who, Nanos length);
  void add_exchange(const Exchange& exchange);
  // Time before exchanges that was lost after all, and is a part of what the shares are shares of.
  void add_waiting(Nanos length) { add_connecting(length); }
  // What was told of earlier exchanges is this cause's. `server`: who was told to think; told.who: who sent in pieces.
  void take_think_back(const std::string& server, Nanos length) {
    take_back(think_cause, Side::server, server, 1, length);
  }
  void retell(const ToldVerdict& told, const Earlier& earlier, const std::string& server);
  // What was judged so of this side is proven.
  void prove(const CauseInfo& cause, Side side, const std::string& who, const std::string& proof);
  void add_connecting(Nanos length);
  void count_session() { ++sessions_; }
  void count_missed(std::uint64_t events) { missed_ += events; }
  void see(MonoTime now);
  void set_looks(std::uint64_t made, std::uint64_t skipped) {
    looks_ = made;
    looks_skipped_ = skipped;
  }

  [[nodiscard]] auto exchanges() const -> std::uint64_t { return exchanges_; }
  [[nodiscard]] auto report() const -> Report;
  // What is in the report's causes and unknown too, for who wants no more: in the order of the causes' addresses.
  [[nodiscard]] auto losses() const -> std::vector<Loss>;
  [[nodiscard]] auto exchange_times() const -> const ExchangeTimes& { return times_; }

 private:
  using Key = std::tuple<const CauseInfo*, Side, std::string, std::string>;
  void take_back(const CauseInfo& cause, Side side, const std::string& who, std::uint64_t times, Nanos lost);
  auto row(const CauseInfo& cause, Side side, const std::string& who, const std::string& towards = {}) -> CauseSum&;
  void keep_if_worst(const ToldVerdict& verdict);

  std::map<Key, CauseSum> rows_;
  ExchangeTimes times_;
  std::vector<ToldVerdict> worst_;  // a heap, its front is the shortest
  std::uint64_t sessions_ = 0;
  std::uint64_t exchanges_ = 0;
  std::uint64_t unanswered_ = 0;
  std::uint64_t missed_ = 0;
  std::uint64_t looks_ = 0;
  std::uint64_t looks_skipped_ = 0;
  Nanos exchange_time_{};
  Nanos idle_{};
  MonoTime first_ = MonoTime::max();
  MonoTime last_ = MonoTime::min();
};

}  // namespace weir::diagnose
