#include "diagnose/known_constant.h"

#include <algorithm>
#include <array>

#include "diagnose/cause.h"

namespace weir::diagnose {
namespace {

using std::chrono::milliseconds;
struct Constant {
  Nanos length;
  std::string_view what;
};
constexpr std::array constants{
    Constant{milliseconds{40}, "40 ms is a delayed ACK: look for a split write in the server's own calls"},
    Constant{milliseconds{200}, "200 ms is a delayed ACK or a lost packet in the server's own calls"},
    Constant{milliseconds{1000},
             "1 s is a connection request that is sent again: look at the server's own connections"},
    Constant{milliseconds{3000},
             "3 s is a connection request that is sent again: look at the server's own connections"},
    Constant{milliseconds{5000}, "5 s is a resolver's timeout: look at the names that the server looks up"},
    Constant{milliseconds{30'000}, "30 s is a usual timeout: look at the server's own calls"},
    Constant{milliseconds{60'000}, "60 s is a usual timeout: look at the server's own calls"}};

auto is_about(Nanos length, Nanos constant) -> bool {
  return 100 * length >= 99 * constant && 100 * length <= 101 * constant;
}

}  // namespace

auto known_constant_hint(const Pause& pause) -> std::string_view {
  constexpr std::ptrdiff_t least = 2;  // before this one
  for (const Constant& constant : constants) {
    const auto alike = [&constant](Nanos each) { return is_about(each, constant.length); };
    if (alike(pause.length) && std::ranges::count_if(pause.habit.recent(), alike) >= least) return constant.what;
  }
  return "";
}

const CauseInfo known_constant_cause{
    .name = "known_constant",
    .doc = "A hint and never a verdict: the server takes as long, again and again, as a well-known timer one hop on",
    .signals =
        "Three answers of a session and more took 40 or 200 ms, or 1, 3, 5, 30 or 60 s, each within 1 %; it is the fix "
        "of `think` then",
    .look_alikes = "A server that works as long by chance, or answers on a tick: which is why it is a hint",
    .judge = [](const Pause& /*pause*/) -> std::optional<Finding> { return std::nullopt; }};

}  // namespace weir::diagnose
