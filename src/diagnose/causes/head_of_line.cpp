#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo head_of_line_cause{
    .name = "head_of_line",
    .doc = "Pipelined requests wait behind the one before them",
    .signals =
        "Before the answer to a whole request of HTTP/1 or Redis began, others of the same protocol came; the "
        "time until it began",
    .look_alikes =
        "A request in pieces (split_write): what stands before the pause is not whole. A single request "
        "that takes long (think): none came behind it",
    .judge_exchange = [](const ExchangeView& view) -> std::optional<ExchangeClaim> {
      const std::uint32_t behind = view.exchange.pipelined;
      const Nanos answers = view.free_in(Segment::server_answers);
      if (behind == 0 || answers < least_pause) return std::nullopt;
      ExchangeClaim claim{.finding = {.side = Side::client,
                                      .certainty = Certainty::likely,
                                      .text = fmt::format("pipelines: {} request{} waited behind the one before, "
                                                          "which took {}",
                                                          behind, behind == 1 ? "" : "s", format_duration(answers)),
                                      .fix = "send what must not wait over a connection of its own",
                                      .evidence = {{"behind", behind}, {"first_ns", answers.count()}}}};
      return claim.of(Segment::server_answers, answers);
    }};

}  // namespace weir::diagnose
