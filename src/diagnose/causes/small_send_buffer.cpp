#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo small_send_buffer_cause{
    .name = "small_send_buffer",
    .doc = "The server's send buffer is too small for the path: it sends so much a round trip and no more",
    .signals =
        "An answer in eight bursts and more, a round trip apart, which do not grow, stay below 64 KiB and below Weir's "
        "own window, with nothing lost",
    .look_alikes = "A cold connection (slow_start): the bursts double. Weir's own window: the bursts are as large",
    .judge_exchange = [](const ExchangeView& view) -> std::optional<ExchangeClaim> {
      constexpr std::uint32_t least_bursts = 8;
      constexpr std::uint64_t largest = 64 * 1024;
      const Bursts& bursts = view.exchange.bursts;
      if (bursts.count < least_bursts || 10 * bursts.round_trips < 7 * bursts.count) return std::nullopt;
      if (bursts.most > 3 * bursts.least || bursts.most > largest) return std::nullopt;
      const std::uint64_t window = view.exchange.own_window;
      if (window > 0 && 10 * bursts.most > 7 * window) return std::nullopt;
      const Nanos round_trip = view.exchange.round_trip.at(index(LegName::server));
      ExchangeClaim claim{.finding = {.side = Side::server,
                                      .certainty = Certainty::likely,
                                      .text = fmt::format("sends at most {} a round trip of {}: its send buffer is "
                                                          "that small",
                                                          format_size(bursts.most), format_duration(round_trip)),
                                      .fix = "do not set SO_SNDBUF there, or raise net.ipv4.tcp_wmem",
                                      .evidence = {{"burst", static_cast<std::int64_t>(bursts.most)},
                                                   {"bursts", bursts.count},
                                                   {"round_trip_ns", round_trip.count()},
                                                   {"own_window", static_cast<std::int64_t>(window)}}}};
      return claim.of(Segment::server_sends, view.free_in(Segment::server_sends));
    }};

}  // namespace weir::diagnose
