// What the packets of a capture show of a pause, for the rules: where there are packets, a rule need not infer. A
// capture shows what passed its own point: what was lost before that point is a hole there, what was lost behind it
// comes again.
#pragma once

#include "diagnose/cause.h"

namespace weir::diagnose {

// Did the sender wait for the ACK of its earlier piece, and who delayed that? The pause has packets, and its receiver's
// were seen. None: the sender had its own reasons, as its bytes did not leave with the ACK.
[[nodiscard]] auto split_write_by_packets(const Pause& pause) -> std::optional<Finding>;
// Bytes that passed the capture point, were lost behind it and came again. None: no such.
[[nodiscard]] auto loss_by_packets(const Pause& pause) -> std::optional<Finding>;
// The same, but the receiver said that it had them already: its answer was lost, or its ACK.
[[nodiscard]] auto reply_lost_by_packets(const Pause& pause) -> std::optional<Finding>;
// Bytes that came late, after others that stand behind them.
[[nodiscard]] auto peer_loss_by_packets(const Pause& pause) -> std::optional<Finding>;
// The receiver's window was 0 for half of the pause.
[[nodiscard]] auto not_reading_by_packets(const Pause& pause) -> std::optional<Finding>;
// SYN or SYN+ACK that came again.
[[nodiscard]] auto syn_lost_by_packets(const Pause& pause) -> std::optional<Finding>;

}  // namespace weir::diagnose
