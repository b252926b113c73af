#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo big_answer_cause{
    .name = "big_answer",
    .doc = "The answer is large, and most of the exchange is its transfer",
    .signals =
        "An answer of a megabyte and more, whose pieces took at least half of the exchange and 50 ms; whether "
        "the same answer came before, by a hash of its beginning and its length",
    .look_alikes =
        "A transfer that something limits (rate_cap, small_send_buffer, small_window, slow_start, "
        "congestion): those own its time",
    .judge_exchange = [](const ExchangeView& view) -> std::optional<ExchangeClaim> {
      constexpr std::uint64_t large = 1'000'000;
      constexpr Nanos least = std::chrono::milliseconds{50};
      const std::uint64_t bytes = view.exchange.bytes.at(index(Direction::downstream));
      const Nanos length = view.exchange.end - view.exchange.begin;
      const Nanos sends = view.free_in(Segment::server_sends);
      if (bytes < large || sends < least || 2 * sends < length) return std::nullopt;
      const double rate = static_cast<double>(bytes) * 8e3 / static_cast<double>(sends.count());
      const std::string again =
          view.same_answers > 1 ? fmt::format("; the same answer came {} times", view.same_answers) : "";
      ExchangeClaim claim{
          .finding = {.side = Side::server,
                      .certainty = Certainty::likely,
                      .text = fmt::format("answers with {}, at {:.3g} Mbit/s{}", format_size(bytes), rate, again),
                      .fix = "ask for less, compress it, or keep it",
                      .evidence = {{"bytes", static_cast<std::int64_t>(bytes)},
                                   {"same_answers", static_cast<std::int64_t>(view.same_answers)}}}};
      return claim.of(Segment::server_sends, sends);
    }};

}  // namespace weir::diagnose
