#include <cmath>

#include "fault/catalog.h"
#include "fault/correlated.h"
#include "fault/holding_stage.h"

namespace weir::fault {
namespace {

enum class Distribution : std::uint8_t { uniform, constant, normal, pareto };

auto distribution_of(const FaultSpec& spec) -> Distribution {
  const std::string& word = spec.text("distribution");
  if (word == "constant") return Distribution::constant;
  if (word == "normal") return Distribution::normal;
  return word == "pareto" ? Distribution::pareto : Distribution::uniform;
}

// Of the jitter, for a uniform u: what is added to the latency.
auto spread(Distribution distribution, double u) -> double {
  constexpr double longest_tail = 20;
  switch (distribution) {
    case Distribution::uniform: return 2 * u - 1;
    case Distribution::constant: return 0;
    case Distribution::normal: return std::clamp(normal_quantile(u), -4.0, 4.0);
    case Distribution::pareto: return std::min(std::pow(1 - u, -1.0 / 3) - 1, longest_tail);
  }
  return 0;
}

class LatencyStage final : public HoldingStage {
 public:
  explicit LatencyStage(const Seat& seat) : draws_(seat.draws) { take(seat.spec); }

  void on_chunk(StageContext& context, Chunk chunk) override {
    if (chunk.is_new()) draw_at(chunk.offset);
    hold(context, std::move(chunk), context.now() + delay());
  }
  void on_update(StageContext& context, const FaultSpec& spec) override {
    take(spec);
    hasten(context, [this](const Held& held) {
      if (held.chunk.is_new()) draw_at(held.chunk.offset);
      return held.arrived + delay();
    });
  }

 private:
  void take(const FaultSpec& spec) {
    latency_ = spec.time("latency");
    jitter_ = spec.time("jitter");
    distribution_ = distribution_of(spec);
    draws_.set_correlation(spec.fraction("correlation"));
  }
  void draw_at(std::uint64_t offset) {
    if (jitter_ <= Nanos{0} || distribution_ == Distribution::constant) return;
    share_ = spread(distribution_, draws_.next(offset));
  }
  [[nodiscard]] auto delay() const -> Nanos {
    if (jitter_ <= Nanos{0} || distribution_ == Distribution::constant) return std::max(latency_, Nanos{0});
    const double more = share_ * static_cast<double>(jitter_.count());
    return std::max(latency_ + Nanos{std::llround(more)}, Nanos{0});
  }

  Distribution distribution_{};  // first, in the base's padding: an idle session keeps one of these
  CorrelatedDraws draws_;
  Nanos latency_{};
  Nanos jitter_{};
  double share_ = 0;  // of the jitter, of the message or chunk that comes in
};

auto check(const FaultSpec& spec) -> Result<void> {
  if (distribution_of(spec) != Distribution::constant) return {};
  if (spec.integer("jitter") != 0) {
    return failure("latency: jitter: with distribution=constant nothing jitters: leave one of them out");
  }
  if (spec.fraction("correlation") != 0) {
    return failure("latency: correlation: with distribution=constant nothing is drawn: leave one of them out");
  }
  return {};
}

constexpr std::int64_t milliseconds = 1'000'000;
constexpr std::int64_t any_sign = std::numeric_limits<std::int64_t>::min();

}  // namespace

const FaultInfo latency_fault{
    .type = "latency",
    .doc = "Every chunk leaves so much later than it came; order is always kept",
    .details =
        "A chunk is what one read delivered. It leaves at the time of its read plus `latency` plus a share of `jitter` "
        "that is drawn anew for each chunk, never before the chunk that came before it. FIN waits for the bytes before "
        "it. Connecting is not delayed: see `connect_delay` and `accept_delay`.\n\n"
        "With `uniform`, the share is from -1 to 1. With `normal`, `jitter` is the standard deviation, cut at four of "
        "them. With `pareto`, `jitter` is the scale of a long tail to one side: half of the chunks get less than 0.26 "
        "of it, one in a thousand 9 times as much, none more than 20 times. `constant` has no jitter. With "
        "`correlation`, each share resembles the one before; the distribution stays as it is.",
    .differs = "A chunk that is held when the fault is changed leaves at its new time if that is sooner.",
    .attributes = {{.name = "latency",
                    .kind = AttributeKind::duration,
                    .default_value = std::int64_t{0},
                    .doc = "How much later; less than 0 is as 0",
                    .least = any_sign,
                    .classic_unit = milliseconds},
                   {.name = "jitter",
                    .kind = AttributeKind::duration,
                    .default_value = std::int64_t{0},
                    .doc = "How far from it a chunk may be; less than 0 is as 0",
                    .least = any_sign,
                    .classic_unit = milliseconds},
                   {.name = "distribution",
                    .kind = AttributeKind::word,
                    .default_value = std::string("uniform"),
                    .doc = "How the jitter is spread",
                    .words = {"uniform", "constant", "normal", "pareto"}},
                   {.name = "correlation",
                    .kind = AttributeKind::fraction,
                    .default_value = 0.0,
                    .doc = "How much a chunk's jitter resembles that of the one before"}},
    .classic = true,
    .check = check,
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<LatencyStage>(seat); }};

}  // namespace weir::fault
