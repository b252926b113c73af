#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"
#include "diagnose/full_path.h"
#include "diagnose/transport.h"

namespace weir::diagnose {
namespace {

auto megabits(double bytes_a_second) -> double { return bytes_a_second * 8 / 1e6; }

auto text_of(double bytes_a_second) -> std::string {
  return fmt::format("is capped at {:.3g} Mbit/s: a shaper, or a bucket of the sender's own", megabits(bytes_a_second));
}
constexpr std::string_view fix = "raise the limit, or send less";

}  // namespace

const CauseInfo rate_cap_cause{
    .name = "rate_cap",
    .doc = "Bytes come at a constant rate, as of a shaper or a token bucket",
    .signals =
        "An answer of 200 kB and 200 ms and more whose bytes come at a rate that varies by less than a tenth, with "
        "pauses that are no round trips; or, where Weir sends, a full path (path_queue) with a rate that does not vary",
    .look_alikes =
        "Other traffic on the path (path_queue): the rate varies. A small send buffer or window: the pauses "
        "are round trips. A sender that makes its bytes at a constant rate: it is capped by itself",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const auto path = full_path(pause);
      if (!path || !path->is_steady) return std::nullopt;
      return Finding{
          .side = path_of(path->leg),
          .certainty = Certainty::likely,
          .text = text_of(static_cast<double>(path->rate)),
          .fix = std::string(fix),
          .evidence = {{"queue_ns", path->queue.count()}, {"bytes_a_second", static_cast<std::int64_t>(path->rate)}}};
    },
    .judge_exchange = [](const ExchangeView& view) -> std::optional<ExchangeClaim> {
      constexpr std::uint64_t least_bytes = 200'000;
      constexpr Nanos least_time = std::chrono::milliseconds{200};
      constexpr double fastest = 125e6;  // bytes a second; above, a pause of a millisecond is a scheduler's
      const Exchange& exchange = view.exchange;
      const Nanos sends = view.free_in(Segment::server_sends);
      const Nanos told = exchange.told.at(static_cast<std::size_t>(Segment::server_sends));
      if (exchange.bytes.at(index(Direction::downstream)) < least_bytes || sends < least_time) return std::nullopt;
      if (10 * told < 8 * sends || 2 * exchange.bursts.round_trips >= exchange.bursts.count) return std::nullopt;
      const auto rate = exchange.curve.rate();
      if (!rate || rate->variation > 0.1 || rate->bytes_a_second > fastest) return std::nullopt;
      // Without a path to speak of, nobody but the server can cap it.
      const bool is_near = exchange.round_trip.at(index(LegName::server)) < least_path;
      ExchangeClaim claim{
          .finding = {.side = is_near ? Side::server : Side::server_path,
                      .certainty = Certainty::likely,
                      .text = text_of(rate->bytes_a_second),
                      .fix = std::string(fix),
                      .evidence = {{"bytes_a_second", static_cast<std::int64_t>(rate->bytes_a_second)},
                                   {"variation_percent", static_cast<std::int64_t>(100 * rate->variation)}}}};
      return claim.of(Segment::server_sends, sends);
    }};

}  // namespace weir::diagnose
