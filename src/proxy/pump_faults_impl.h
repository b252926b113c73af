// How a pump leads its bytes through faults; included by pump.h alone.
#pragma once

#include "proxy/pump.h"

namespace weir::proxy {

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::set_faults(const fault::ChainPlace& place, std::span<fault::SessionFault* const> faults,
                                    std::span<fault::SessionFault* const> changed, MonoTime now) {
  if (!faults_) {
    // A direction whose source has ended has no more bytes to be at fault with.
    if ((faults.empty() && !place.is_watched()) || state_ != PumpState::flowing) return;
    faults_ = std::make_unique<fault::Chain>(place);
  }
  faults_->set(moment(now), faults, changed);
  note_fault_end();
}

// A fault may have ended the direction: what it holds is given up.
template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::note_fault_end() {
  if (!faults_->end() || state_ != PumpState::flowing) return;
  state_ = PumpState::finishing;
  faults_->give_up_held();
}

// All that was due is sent. True: the source may be read, or its end passed on.
template <Endpoint Source, Endpoint Sink>
auto Pump<Source, Sink>::faults_permit_read(MonoTime now) -> bool {
  if (faults_->take_wants_room()) {
    faults_->on_room(moment(now));
    note_fault_end();
    if (due()) return false;
  }
  // mutant: fin-before-a-faults-reset
  if (faults_->end() == fault::End::session_reset) return false;  // no FIN before the RST
  if (state_ != PumpState::flowing) return faults_->held() == 0 && faults_->end().has_value();
  if (faults_->is_full()) {  // mutant: fault-queue-unbounded
    faults_->count_full();
    return false;
  }
  if (faults_->is_spent() && faults_->held() == 0) faults_.reset();
  return true;
}

// Just read: they are the last of bytes_. `now` is read after the read, so that nothing is early.
template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::give_to_faults(Slice&& bytes, MonoTime now) {
  faults_->on_chunk(moment(now), std::move(bytes));
  note_fault_end();
}

template <Endpoint Source, Endpoint Sink>
void Pump<Source, Sink>::on_alarm(MonoTime now) {
  if (!faults_ || !faults_->alarm() || *faults_->alarm() > now) return;
  faults_->on_alarm(moment(now));
  note_fault_end();
}

}  // namespace weir::proxy
