// What chain.cpp and chain_gates.cpp know of a chain's slots; included by them alone.
#pragma once

#include "fault/chain.h"
#include "fault/selection.h"

namespace weir::fault {

enum class Gate : std::uint8_t { waiting, active, over };

struct Chain::Slot {
  SessionFault* fault = nullptr;
  std::unique_ptr<Stage> stage;
  std::unique_ptr<Selection> selection;   // null: the fault is for all bytes
  std::shared_ptr<const FaultSpec> spec;  // never null: as the gate was entered with, or the fault last changed to
  CompactOptional<MonoTime> alarm;        // the stage's
  CompactOptional<MonoTime> gate_at;      // when it begins, or is over
  MonoTime begun{};
  MonoTime placed{};      // when the fault came into the session
  std::uint64_t in = 0;   // where in the stream the last that came in ended
  std::uint64_t out = 0;  // and the last that went out
  std::uint64_t held = 0;
  Gate gate = Gate::waiting;
  bool input_ended = false;
  bool ended = false;  // nothing will come out any more
};

template <class Call>
void Chain::call(std::size_t at, Call call) {
  StageContext context(*this, at);
  call(*slots_[at].stage, context);
  release_joined(at);
}

}  // namespace weir::fault
