// The how of pump.h; included by it alone.
#pragma once

#include "proxy/pump.h"

namespace weir::proxy {

template <Endpoint Source, Endpoint Sink>
auto Pump<Source, Sink>::run(Leg<Source>& source, Leg<Sink>& sink, Context& context, const event::SessionEvents& events,
                             MonoTime now) -> PumpStep {
  for (int turn = 0; turn < (splicing_ ? splicing_turns_per_run : turns_per_run); ++turn) {  // mutant: unfair-pump
    if (ended()) return PumpStep::waiting;
    if (sink.broken) {
      abort();
      return PumpStep::waiting;
    }
    // mutant: read-while-pending, fin-before-pending-bytes
    if (const Delivered delivered = deliver(sink, context, events, now); delivered != Delivered::all) {
      return delivered == Delivered::parked ? PumpStep::parked : step_while_due(sink);
    }
    if (faults_ && !faults_permit_read(now)) {
      if (due()) continue;
      return PumpStep::waiting;
    }
    if (state_ != PumpState::flowing) {
      finish(sink);
      return PumpStep::waiting;
    }
    if (!source.can_read()) return PumpStep::waiting;
    const Took took = splicing_ ? splice_in(source, context, events, now) : copy_in(source, sink, context, events, now);
    if (took == Took::parked) return PumpStep::parked;
    // What ended, or is due after a short send, is the next turn's first business.
    if (took == Took::nothing && state_ == PumpState::flowing && !due()) return PumpStep::waiting;
  }
  if (ended() || blocked_ || (state_ == PumpState::flowing && !source.can_read() && !due())) return PumpStep::waiting;
  return PumpStep::again;  // mutant: run-again-forgotten
}

template <Endpoint Source, Endpoint Sink>
auto Pump<Source, Sink>::copy_in(Leg<Source>& source, Leg<Sink>& sink, Context& context,
                                 const event::SessionEvents& events, MonoTime now) -> Took {
  const bool observed = events.wants(event::EventKind::chunk_read, direction_);
  const bool told = events.wants(event::EventKind::chunk_written, direction_);
  const bool kept = observed || faults_ != nullptr;
  // Room at the observers before the read, for it and for its write: what was read is never lost to a full ring.
  // mutant: ring-reservation-skipped
  if ((observed || told) && !events.reserve(direction_, 2, read_size_)) return Took::parked;
  const auto room = faults_    ? faults_->room(read_size_)
                    : observed ? context.blocks.space(read_size_)
                               : context.scratch.first(read_size_);
  if (room.empty()) {
    source_stopped(source, {.status = IoStatus::broken, .error = ENOMEM}, now);
    return Took::nothing;
  }
  const ReadResult read = source.end.read(room);
  if (read.status != IoStatus::ok) {
    source_stopped(source, read, now);
    return Took::nothing;
  }
  note_read(read.bytes, now);
  // epoll(7): on a stream, a read shorter than asked for has drained the socket...
  // mutant: short-read-after-urgent-taken-as-drained, buffered-plaintext-forgotten
  const bool drained = read.bytes < room.size() && !source.short_read_proves_nothing && !source.end.buffered();
  if (drained) source.read_blocked();

  if (!kept) {
    const IoResult written = sink.end.write(room.first(read.bytes));
    const bool all = took_all(sink, written, read.bytes, now);
    if (written.bytes > 0 && told) tell_written(context, events);
    if (!all && !sink.broken) {  // mutant: tail-dropped-after-short-send
      // mutant: tail-sent-twice
      pending_ = context.blocks.copy(room.subspan(written.bytes, read.bytes - written.bytes));
      if (pending_.empty()) sink.break_with(ENOMEM);
    }
  } else {
    Slice slice = faults_ ? faults_->keep(read.bytes) : context.blocks.commit(read.bytes);
    if (observed) tell_read(slice, read, context, events);
    if (faults_) {
      give_to_faults(std::move(slice), context.clock.mono());
    } else {
      pending_ = std::move(slice);
      if (deliver(sink, context, events, now) == Delivered::not_yet && sink.broken) abort();
    }
  }
  adapt_read_size(read.bytes, room.size(), source, sink, context,
                  events.wants(event::EventKind::chunk_bytes, direction_));
  return drained && !due() ? Took::nothing : Took::bytes;
}

template <Endpoint Source, Endpoint Sink>
auto Pump<Source, Sink>::fill_pipe(Leg<Source>& source) -> Filled {
  // As much as the pipe holds: its slots run out long before this.
  constexpr std::size_t most = 1024 * 1024 * 1024;
  Filled filled;
  for (int fill = 0; fill < fills_per_move; ++fill) {
    filled.last = source.end.splice_in(*pipe_, most);
    filled.bytes += filled.last.bytes;
    if (filled.last.bytes < worth_another_fill) break;
  }
  return filled;
}

template <Endpoint Source, Endpoint Sink>
auto Pump<Source, Sink>::splice_in(Leg<Source>& source, Context& context, const event::SessionEvents& events,
                                   MonoTime now) -> Took {
  // Into an empty pipe (deliver() saw to that), so that EAGAIN of the first move can only mean "socket drained".
  // With bytes in the pipe it may as well mean "pipe full": of the moves behind the first neither that nor an end says
  // anything, and the next turn asks again.
  const bool observed = events.wants(event::EventKind::chunk_read, direction_);
  if (observed && !events.reserve(direction_, 2, 0)) return Took::parked;
  if (!pipe_) pipe_ = context.pipes.take();
  if (!pipe_) {
    splicing_ = false;
    return Took::bytes;  // none to be had: the next turn copies
  }
  const auto [bytes, last] = fill_pipe(source);
  if (bytes > 0) {
    note_spliced(bytes, context, events, now);
    // An error is told once.
    if (last.status == IoStatus::broken && last.error != EINVAL) source_stopped(source, last, now);
    return Took::bytes;
  }
  if (last.status == IoStatus::broken && last.error == EINVAL) {
    splicing_ = false;
    never_splice_ = true;
    give_pipe(context);
    return Took::bytes;
  }
  const bool undecided = last.status == IoStatus::would_block && source.short_read_proves_nothing;
  if (undecided || last.status == IoStatus::end) {
    // splice(2) never passes an urgent mark: it says EAGAIN there for ever and, when a FIN has come
    // behind the mark, 0 with bytes still unread (Linux 6.18). What a read says decides.
    splicing_ = false;
    give_pipe(context);
    return Took::bytes;
  }
  give_pipe(context);  // a direction that waits owns no pipe
  source_stopped(source, last, now);
  return Took::nothing;
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::note_spliced(std::size_t n, Context& context, const event::SessionEvents& events,
                                      MonoTime now) {
  note_read(n, now);
  context.spliced += n;
  if (events.wants(event::EventKind::chunk_read, direction_)) {
    events.push(context.clock.mono(), event::EventKind::chunk_read,
                event::ChunkRead{.bytes = {},
                                 .offset = bytes_ - n,
                                 .kernel_time = {},
                                 .direction = direction_,
                                 .uncopied = static_cast<std::uint32_t>(n)});
  }
  small_moves_ = n < small_move ? static_cast<std::uint8_t>(small_moves_ + 1) : std::uint8_t{0};
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::source_stopped(Leg<Source>& source, const IoResult& result, MonoTime now) {
  if (result.status == IoStatus::would_block) {
    source.read_blocked();
    return;
  }
  if (result.status == IoStatus::broken) source.break_with(result.error);
  // After a reset that another call consumed, the kernel says 0 where it would have said ECONNRESET:
  // that is no FIN to pass on.
  state_ = source.broken ? PumpState::last_bytes : PumpState::finishing;  // mutant: reset-passed-on-as-fin
  if (faults_) faults_->on_end(moment(now));
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::end_reading(MonoTime now) {
  if (ended() || (state_ != PumpState::flowing && !faults_)) return;
  if (state_ == PumpState::flowing) state_ = PumpState::finishing;
  if (faults_ && !faults_->end()) faults_->on_session_end(moment(now));
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::note_read(std::size_t n, MonoTime now) {
  bytes_ += n;
  ++chunks_;
  last_read_ = now;
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::adapt_read_size(std::size_t n, std::size_t room, Leg<Source>& source, Leg<Sink>& sink,
                                         Context& context, bool copied) {
  if (blocked_) {  // less to keep when the sink takes less
    read_size_ = std::max<std::uint32_t>(read_size_ / 2, smallest_read);
    full_reads_ = 0;
    return;
  }
  if (n < room) {
    full_reads_ = 0;
    return;
  }
  ++full_reads_;
  const bool bulk = !copied && !faults_ && room >= splice_from && full_reads_ >= 2 && pending_.empty();
  if (bulk && !never_splice_ && source.end.can_splice() && sink.end.can_splice()) {
    splicing_ = true;
    small_moves_ = 0;
    full_reads_ = 0;
    return;
  }
  if (full_reads_ >= 4) {
    full_reads_ = 0;
    read_size_ = static_cast<std::uint32_t>(std::min<std::size_t>(read_size_ * 2, context.scratch.size()));
  }
}

// Sends what is due, oldest first. One read may have become thousands of sends (faults cut it up), so each send that
// is told asks the observers for room of its own.
template <Endpoint Source, Endpoint Sink>
auto Pump<Source, Sink>::deliver(Leg<Sink>& sink, Context& context, const event::SessionEvents& events, MonoTime now)
    -> Delivered {
  const bool told = events.wants(event::EventKind::chunk_written, direction_);
  const std::uint64_t written_before = written_;
  for (int sends = 0;; ++sends) {
    if (pipe_) {
      // mutant: eagain-with-bytes-in-pipe-taken-as-drained
      if (const Delivered moved = deliver_pipe(sink, context, events, now); moved != Delivered::all) return moved;
    }
    if (splicing_ &&
        // mutant: splicing-past-an-observer
        (small_moves_ >= small_moves_to_leave || faults_ || events.wants(event::EventKind::chunk_bytes, direction_))) {
      splicing_ = false;
      give_pipe(context);
    }
    if (pending_.empty()) {
      if (!faults_ || !faults_->has_released()) return Delivered::all;
      if (sends >= sends_per_turn || written_ - written_before >= sent_per_turn) {
        return Delivered::not_yet;  // others' turn; not blocked
      }
      pending_ = faults_->take_released();
    }
    if (!sink.can_write()) {
      if (!blocked_) blocked_since_ = now;
      blocked_ = true;
      return Delivered::not_yet;
    }
    if (told && !events.reserve(direction_, 1, 0)) {
      blocked_ = false;          // the sink takes bytes: it is our observer that is waited for
      return Delivered::parked;  // mutant: told-sends-take-no-room
    }
    const IoResult result = sink.end.write(pending_.bytes());
    const bool all = took_all(sink, result, pending_.size(), now);
    if (result.bytes > 0) {
      pending_.remove_prefix(result.bytes);
      if (told) tell_written(context, events);
    }
    if (!all) return Delivered::not_yet;
    pending_ = Slice{};  // lets the block go
  }
}

template <Endpoint Source, Endpoint Sink>
auto Pump<Source, Sink>::deliver_pipe(Leg<Sink>& sink, Context& context, const event::SessionEvents& events,
                                      MonoTime now) -> Delivered {
  const bool told = events.wants(event::EventKind::chunk_written, direction_);
  while (pipe_->bytes() > 0) {
    if (!sink.can_write()) {
      if (!blocked_) blocked_since_ = now;
      blocked_ = true;
      return Delivered::not_yet;
    }
    if (told && !events.reserve(direction_, 1, 0)) {
      blocked_ = false;  // the sink takes bytes: it is our observer that is waited for
      return Delivered::parked;
    }
    const IoResult result = sink.end.splice_out(*pipe_);
    written_ += result.bytes;
    if (result.status == IoStatus::ok) {  // a partial move says nothing about the rest: ask again
      blocked_ = false;
      if (told) tell_written(context, events);
      continue;
    }
    (void)took_all(sink, result, pipe_->bytes(), now);
    return Delivered::not_yet;
  }
  blocked_ = false;
  return Delivered::all;
}

// Books what a write did. False: bytes are left, and the sink takes no more now or never.
template <Endpoint Source, Endpoint Sink>
auto Pump<Source, Sink>::took_all(Leg<Sink>& sink, const IoResult& result, std::size_t size, MonoTime now) -> bool {
  written_ += result.bytes;
  if (result.status == IoStatus::broken) {
    // Stored at once: this call may have consumed the reset, and the next recv would say FIN.
    sink.break_with(result.error);  // mutant: reset-seen-by-send-forgotten
    return false;
  }
  if (result.bytes == size) {
    blocked_ = false;
    return true;
  }
  // A short send filled the buffer: the edge comes when there is room again.
  sink.write_blocked();
  if (!blocked_ || result.bytes > 0) blocked_since_ = now;  // mutant: stall-clock-not-moved-by-progress
  blocked_ = true;
  return false;
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::finish(Leg<Sink>& sink) {
  if (state_ == PumpState::last_bytes) {
    state_ = PumpState::over;
    return;
  }
  const IoResult result = sink.end.close_write();
  if (result.status == IoStatus::would_block) {
    sink.write_blocked();
    return;
  }
  if (result.status == IoStatus::broken) {
    sink.break_with(result.error);
    state_ = PumpState::over;
    return;
  }
  state_ = PumpState::finished;
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::give_pipe(Context& context) {
  if (pipe_) context.pipes.give(std::move(pipe_));
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::tell_read(const Slice& slice, const ReadResult& read, Context& context,
                                   const event::SessionEvents& events) {
  std::optional<MonoTime> received;
  if (read.kernel_time) received = mono_of(*read.kernel_time, context.clock);
  events.push(context.clock.mono(), event::EventKind::chunk_read,
              event::ChunkRead{slice, bytes_ - slice.size(), received, direction_});
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::tell_written(Context& context, const event::SessionEvents& events) {
  events.push(context.clock.mono(), event::EventKind::chunk_written, event::ChunkWritten{written_, direction_});
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::prefill(Slice bytes, Context& context, const event::SessionEvents& events) {
  const MonoTime now = context.clock.mono();
  note_read(bytes.size(), now);
  if (events.wants(event::EventKind::chunk_read, direction_)) {
    events.push(now, event::EventKind::chunk_read,
                event::ChunkRead{bytes, bytes_ - bytes.size(), std::nullopt, direction_});
  }
  if (faults_) {
    give_to_faults(std::move(bytes), now);
  } else {
    pending_ = std::move(bytes);
  }
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::abort() {
  if (ended()) return;
  state_ = PumpState::over;
  pending_ = Slice{};
  pipe_.reset();
  blocked_ = false;
  if (faults_) faults_->cut();
}

}  // namespace weir::proxy
