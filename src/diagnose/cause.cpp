#include "diagnose/cause.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "diagnose/peer_evidence.h"

namespace weir::diagnose {
namespace {

#define WEIR_CAUSE(name) &name##_cause,
constexpr std::array all{
#include "diagnose/causes.def"
};
#undef WEIR_CAUSE

}  // namespace

auto to_string(Certainty certainty) -> std::string_view {
  constexpr std::array<std::string_view, 3> names{"likely", "shown", "proven"};
  return names.at(static_cast<std::size_t>(certainty));
}

auto causes() -> std::span<const CauseInfo* const> { return all; }

auto find_cause(std::string_view name) -> const CauseInfo* {
  const auto* const found = std::ranges::find(all, name, &CauseInfo::name);
  return found == all.end() ? nullptr : *found;
}

auto judge(const Pause& pause) -> Verdict {
  for (const CauseInfo* cause : all) {
    if (cause->judge == nullptr) continue;
    auto finding = cause->judge(pause);
    if (!finding) continue;
    const bool is_clients = finding->side == Side::client || finding->side == Side::client_path;
    const PeerLook* look = last_look(pause, is_clients ? LegName::client : LegName::server);
    if (look != nullptr) add_look(finding->evidence, pause, *look);
    return {cause, *std::move(finding)};
  }
  return {&unknown_cause, {}};  // the last rule claims all
}

auto judge_unanswered(const Pause& pause) -> std::optional<Verdict> {
  for (const CauseInfo* cause : all) {
    if (cause->judge_unanswered == nullptr) continue;
    if (auto finding = cause->judge_unanswered(pause)) return Verdict{cause, *std::move(finding)};
  }
  return std::nullopt;
}

auto says_only_who(const CauseInfo& cause) -> bool {
  return &cause == &think_cause || &cause == &client_think_cause || &cause == &unknown_cause;
}

auto is_delayed_ack(Nanos length, Nanos round_trip) -> bool {
  using std::chrono::milliseconds;
  const auto within = [alone = length - round_trip](int least, int most) {
    return alone >= milliseconds{least} && alone <= milliseconds{most};
  };
  return within(36, 60) || within(190, 230);
}

}  // namespace weir::diagnose
