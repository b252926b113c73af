#pragma once

#include <algorithm>
#include <cerrno>
#include <memory>
#include <type_traits>
#include <utility>

#include "base/block.h"
#include "base/compact_optional.h"
#include "base/ids.h"
#include "event/fanout.h"
#include "fault/chain.h"
#include "proxy/endpoint.h"
#include "proxy/evidence.h"
#include "proxy/pipe_pool.h"

namespace weir::proxy {

// What every pump of a worker borrows from its loop.
template <class Pipe>
struct PumpContext {
  const Clock& clock;
  std::span<std::byte> scratch;  // where unobserved bytes pass through; nobody owns it between calls
  BlockPool& blocks;
  PipePool<Pipe>& pipes;
  ProbeBudget probes{};
  std::uint64_t spliced = 0;  // bytes, since the worker began
};

// Moves the bytes of one direction. A hand-written state machine, not a coroutine: 13 of the 15 us a
// small exchange costs are the kernel's, and a coroutine relay spent 1.0 us more than this.
//
//   flowing ----FIN read----> finishing --due bytes written, FIN passed on--> finished
//      |---told to end------------^
//      |---source broken----> last_bytes --due bytes written--> over
//      '---sink broken------> over (what was due is counted as undelivered)
//
// The whole of backpressure: no read while bytes that are due are unsent at the sink.
enum class PumpState : std::uint8_t { flowing, finishing, finished, last_bytes, over };

enum class PumpStep : std::uint8_t {
  waiting,  // for an edge, or because it is done
  again,    // there is more; it had its share of this turn
  parked,   // an observer's ring is full; resume when it has room
};

template <Endpoint Source, Endpoint Sink>
class Pump {
 public:
  using Context = PumpContext<typename Source::Pipe>;

  explicit Pump(Direction direction) : direction_(direction) {}
  Pump(const Pump&) = delete;
  auto operator=(const Pump&) -> Pump& = delete;

  // Moves what can be moved, a few turns at most.
  auto run(Leg<Source>& source, Leg<Sink>& sink, Context& context, const event::SessionEvents& events, MonoTime now)
      -> PumpStep;
  // Bytes that were read before relaying began (by a handshake): due at once. Call before the first run.
  void prefill(Slice bytes, Context& context, const event::SessionEvents& events);
  // The faults in the path of bytes read from now on, see Chain::set(); `place` is used if none were yet.
  // Nothing is done if there are no faults and were none, or were none when the source ended.
  void set_faults(const fault::ChainPlace& place, std::span<fault::SessionFault* const> faults,
                  std::span<fault::SessionFault* const> changed, MonoTime now);
  void on_alarm(MonoTime now);
  // Reads no more, as if the source had sent FIN; what faults hold goes out at once.
  void end_reading(MonoTime now);
  // The sink is gone: what is due will not be delivered.
  void abort();

  [[nodiscard]] auto state() const -> PumpState { return state_; }
  [[nodiscard]] auto ended() const -> bool { return state_ == PumpState::finished || state_ == PumpState::over; }
  [[nodiscard]] auto bytes() const -> std::uint64_t { return bytes_; }
  [[nodiscard]] auto chunks() const -> std::uint64_t { return chunks_; }
  [[nodiscard]] auto written() const -> std::uint64_t { return written_; }
  // Read and never taken by the sink's kernel.
  [[nodiscard]] auto undelivered() const -> std::uint64_t { return bytes_ - written_; }
  // Due bytes wait for the sink since then; moved on by every byte it takes.
  [[nodiscard]] auto blocked_since() const -> std::optional<MonoTime> {
    return blocked_ ? std::optional(blocked_since_) : std::nullopt;
  }
  [[nodiscard]] auto splicing() const -> bool { return splicing_; }
  // Nothing but an empty source keeps it from reading.
  [[nodiscard]] auto takes_more() const -> bool {
    return state_ == PumpState::flowing && !due() && !(faults_ && faults_->is_full());
  }
  [[nodiscard]] auto held_by_faults() const -> std::uint64_t { return faults_ ? faults_->held() : 0; }
  [[nodiscard]] auto alarm() const -> CompactOptional<MonoTime> {
    return faults_ ? faults_->alarm() : CompactOptional<MonoTime>();
  }
  // What the faults have let out is at its end; a session's end is the relay's to carry out.
  [[nodiscard]] auto fault_end() const -> std::optional<fault::End> { return faults_ ? faults_->end() : std::nullopt; }
  // The fault that ended the direction; null: its source did, or it has not ended.
  [[nodiscard]] auto end_maker() const -> const fault::FaultSpec* { return faults_ ? faults_->end_maker() : nullptr; }

  // Turns before other sessions get theirs; those that splice move more in each. And of what faults released, sends and
  // bytes: a fault that is removed may release 32 MiB in each of many sessions, and either takes 0.2 ms.
  static constexpr int turns_per_run = 4;
  static constexpr int splicing_turns_per_run = 2;
  static constexpr int sends_per_turn = 64;
  static constexpr std::size_t sent_per_turn = 512 * 1024;
  // Two full reads of at least this prove a direction bulk: below it splice costs more than it saves.
  static constexpr std::size_t splice_from = 64 * 1024;
  // Moves into the pipe before the one out of it: the more goes out at once, the less each byte costs.
  static constexpr int fills_per_move = 4;
  // A move of less has drained the source, or met a full pipe: another would mostly be in vain.
  static constexpr std::size_t worth_another_fill = 128 * 1024;
  // This many moves in a row smaller than small_move end it.
  static constexpr int small_moves_to_leave = 8;
  static constexpr std::size_t small_move = 16 * 1024;
  static constexpr std::size_t smallest_read = 16 * 1024;

 private:
  enum class Took : std::uint8_t { bytes, nothing, parked };
  enum class Delivered : std::uint8_t { all, not_yet, parked };

  auto copy_in(Leg<Source>& source, Leg<Sink>& sink, Context& context, const event::SessionEvents& events, MonoTime now)
      -> Took;
  struct Filled {
    std::size_t bytes = 0;
    IoResult last{};  // what the last move in said: ok, or why no more came
  };
  auto fill_pipe(Leg<Source>& source) -> Filled;
  auto splice_in(Leg<Source>& source, Context& context, const event::SessionEvents& events, MonoTime now) -> Took;
  [[nodiscard]] auto moment(MonoTime now) const -> fault::Moment { return {now, blocked_}; }
  [[nodiscard]] auto faults_permit_read(MonoTime now) -> bool;
  void give_to_faults(Slice&& bytes, MonoTime now);
  void note_fault_end();
  void source_stopped(Leg<Source>& source, const IoResult& result, MonoTime now);
  void note_read(std::size_t n, MonoTime now);
  void note_spliced(std::size_t n, Context& context, const event::SessionEvents& events, MonoTime now);
  void adapt_read_size(std::size_t n, std::size_t room, Leg<Source>& source, Leg<Sink>& sink, Context& context,
                       bool copied);
  void tell_read(const Slice& slice, const ReadResult& read, Context& context, const event::SessionEvents& events);
  void tell_written(Context& context, const event::SessionEvents& events);

  [[nodiscard]] auto deliver(Leg<Sink>& sink, Context& context, const event::SessionEvents& events, MonoTime now)
      -> Delivered;
  [[nodiscard]] auto deliver_pipe(Leg<Sink>& sink, Context& context, const event::SessionEvents& events, MonoTime now)
      -> Delivered;
  [[nodiscard]] auto took_all(Leg<Sink>& sink, const IoResult& result, std::size_t size, MonoTime now) -> bool;
  [[nodiscard]] auto step_while_due(const Leg<Sink>& sink) const -> PumpStep {
    return blocked_ || sink.broken ? PumpStep::waiting : PumpStep::again;
  }
  void finish(Leg<Sink>& sink);
  void give_pipe(Context& context);
  [[nodiscard]] auto due() const -> bool {
    return !pending_.empty() || (pipe_ && pipe_->bytes() > 0) || (faults_ && faults_->has_released());
  }

  Slice pending_;                                // due at the sink
  std::unique_ptr<fault::Chain> faults_;         // null until one applies, so that an idle session owns one pointer
  std::unique_ptr<typename Source::Pipe> pipe_;  // while it holds bytes or is about to
  std::uint64_t bytes_ = 0;
  std::uint64_t chunks_ = 0;
  std::uint64_t written_ = 0;
  MonoTime blocked_since_{};
  MonoTime last_read_{};
  std::uint32_t read_size_ = splice_from;
  std::uint8_t full_reads_ = 0;
  std::uint8_t small_moves_ = 0;
  bool blocked_ = false;
  bool splicing_ = false;
  bool never_splice_ = false;  // the kernel refused it for this kind of socket
  Direction direction_;
  PumpState state_ = PumpState::flowing;

 public:
  [[nodiscard]] auto last_read() const -> MonoTime { return last_read_; }
};

}  // namespace weir::proxy

#include "proxy/pump_faults_impl.h"

#include "proxy/pump_impl.h"
