#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

auto last_look(const Pause& pause, LegName leg) -> const PeerLook* {
  const PeerLook* last = nullptr;
  for (const PeerLook& look : pause.looks) {
    if (look.leg == leg) last = &look;
  }
  return last;
}

auto first_look_to_end(const Pause& pause, LegName leg, bool (*is)(const PeerState&)) -> const PeerLook* {
  const PeerLook* first = nullptr;
  for (const PeerLook& look : pause.looks) {
    if (look.leg != leg) continue;
    if (!is(look.state)) {
      first = nullptr;
    } else if (first == nullptr) {
      first = &look;
    }
  }
  return first;
}

auto lasted_to_end(const Pause& pause, LegName leg, bool (*is)(const PeerState&)) -> Nanos {
  const PeerLook* first = first_look_to_end(pause, leg, is);
  return first == nullptr ? Nanos{} : pause.begin + pause.length - first->time;
}

auto lasted_from_begin(const Pause& pause, LegName leg, bool (*is)(const PeerState&)) -> Nanos {
  Nanos lasted{};
  for (const PeerLook& look : pause.looks) {
    if (look.leg != leg) continue;
    if (!is(look.state)) break;
    lasted = look.time - pause.begin;
  }
  return lasted;
}

auto last_own_look(const Pause& pause, LegName leg) -> const PeerState* {
  const PeerState* last = nullptr;
  for (const PeerLook& look : pause.own_looks) {
    if (look.leg == leg) last = &look.state;
  }
  return last;
}

auto waited_for_cpu(const Pause& pause) -> std::optional<Nanos> {
  if (!pause.server_process) return std::nullopt;
  for (const PeerLook& look : pause.looks) {
    const auto& process = look.state.process;
    if (look.leg != LegName::server || !process || process->pid != pause.server_process->pid) continue;
    return std::clamp(pause.server_process->cpu_wait - process->cpu_wait, Nanos{}, pause.length);
  }
  return std::nullopt;
}

void add_look(std::vector<Evidence>& evidence, const Pause& pause, const PeerLook& look) {
  const PeerState& state = look.state;
  evidence.push_back({"look_after_ns", (look.time - pause.begin).count()});
  evidence.push_back({"looks", static_cast<std::int64_t>(std::ranges::count(pause.looks, look.leg, &PeerLook::leg))});
  if (state.kind == PeerState::Kind::listening) {
    evidence.push_back({"peer_accept_queue", state.receive_queue});
    evidence.push_back({"peer_accept_limit", state.send_queue});
    return;
  }
  evidence.push_back({"peer_receive_queue", state.receive_queue});
  evidence.push_back({"peer_send_queue", state.send_queue});
  evidence.push_back({"peer_unacknowledged", state.unacknowledged});
  evidence.push_back({"peer_unsent", state.unsent_bytes});
  evidence.push_back({"peer_timer", state.timer});
  evidence.push_back({"peer_retransmits", state.retransmits});
  evidence.push_back({"peer_inode", state.inode});
  if (state.accept_queue) {
    evidence.push_back({"peer_accept_queue", *state.accept_queue});
    evidence.push_back({"peer_accept_limit", state.accept_limit});
  }
  if (!state.process) return;
  evidence.push_back({"peer_pid", state.process->pid});
  evidence.push_back({"peer_stopped", state.process->is_stopped ? 1 : 0});
}

}  // namespace weir::diagnose
