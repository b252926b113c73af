#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

const CauseInfo not_read_cause{
    .name = "not_read",
    .doc = "The server did not read the request; it lay in the socket's receive queue",
    .signals = "The server's own socket, on the same host: it holds bytes that its process has not read",
    .look_alikes =
        "A server that has read the request and works on it (think): the queue is empty. One that reads a large "
        "request "
        "piece by piece: a part of what came is unread. One that answers pipelined requests in turn (head_of_line)",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::server_answers) return std::nullopt;
      const Nanos lasted = lasted_from_begin(pause, LegName::server, is_unread);
      if (lasted == Nanos{} || !is_most(lasted, pause)) return std::nullopt;
      // The last look may be one that saw it read.
      const auto unread = [&](const PeerLook& look) { return look.leg == LegName::server && is_unread(look.state); };
      const std::uint32_t bytes = std::ranges::find_if(pause.looks, unread)->state.receive_queue;
      const bool is_whole = bytes >= pause.asked;
      // What lies there are the requests behind the one on which it works.
      if (!is_whole && pause.pipelined > 0) return std::nullopt;  // mutant: pipelined-is-unread
      return Finding{
          .side = Side::server,
          .certainty = is_whole ? Certainty::proven : Certainty::shown,
          .text = is_whole ? "did not read the request"
                           : fmt::format("did not read all of the request: {} of its {} bytes", bytes, pause.asked),
          .fix = "read sooner: its event loop is blocked, or all of its workers are busy",
          .evidence = {{"not_read_ns", lasted.count()}, {"unread", bytes}},
          .proof =
              fmt::format("{} into it {} bytes lay unread in the server's socket", format_duration(lasted), bytes)};
    }};

}  // namespace weir::diagnose
