// Any faults, any chunks, any changes on the way, in virtual time, through the chain that the pump has: what came
// in has come out, is held or was dropped, and is counted so; without faults that lose bytes, what comes out is
// what came in, in order; what is held stays within what the pump lets in; and everything ends when its source
// does and the faults are gone.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "fault/session_faults.h"

namespace {

using namespace weir;
using namespace weir::fault;

void want(bool holds) {
  if (!holds) std::abort();
}

constexpr std::uint64_t queue_limit = 64 * 1024;
constexpr std::size_t longest_chunk = 8 * 1024;
constexpr std::size_t most_bytes = 256 * 1024;

// What the pump is to a chain.
class Path final {
 public:
  explicit Path(std::uint64_t seed) : proxy_(seed, "p"), session_(proxy_) {
    chain_ = std::make_unique<Chain>(ChainPlace{.direction = Direction::downstream,
                                                .blocks = blocks_,
                                                .accepted = accepted_,
                                                .queue_limit = queue_limit,
                                                .budget = &budget_,
                                                .framings = &session_.framings()});
  }
  ~Path() {
    chain_.reset();
    want(budget_.held() == 0);
  }
  Path(const Path&) = delete;
  auto operator=(const Path&) -> Path& = delete;

  void set(const FaultList& list) {
    const auto change = session_.choose(list, {SessionNumber{1}, client_, accepted_});
    chain_->set(moment(), session_.in(Direction::downstream), change.changed);
    look();
  }
  void comes(const std::string& bytes) {
    if (chain_->end() || in_ended_ || chain_->is_full() || in_.size() > most_bytes) return;
    in_ += bytes;
    const auto room = chain_->room(longest_chunk);
    const std::string_view read = std::string_view(bytes).substr(0, room.size());
    in_.resize(in_.size() - (bytes.size() - read.size()));
    std::ranges::copy(std::as_bytes(std::span(read)), room.begin());
    if (!read.empty()) chain_->on_chunk(moment(), chain_->keep(read.size()));
    look();
  }
  void source_ends() {
    if (chain_->end() || std::exchange(in_ended_, true)) return;
    chain_->on_end(moment());
    look();
  }
  void session_ends() {
    if (std::exchange(session_ended_, true)) return;
    in_ended_ = true;
    chain_->on_session_end(moment());
    look();
  }
  void passes(Nanos time) {
    const MonoTime until = now_ + time;
    for (std::size_t alarms = 0; chain_->alarm() && *chain_->alarm() <= until; ++alarms) {
      want(alarms < 10'000'000);
      now_ = std::max(now_, *chain_->alarm());
      chain_->on_alarm(moment());
      look();
    }
    now_ = until;
  }
  void sink(bool blocked) {
    if (std::exchange(blocked_, blocked) && !blocked) chain_->on_room(moment());
    look();
  }
  [[nodiscard]] auto ended() const -> bool { return chain_->end().has_value(); }
  [[nodiscard]] auto all_came() const -> bool { return out_ == in_; }
  // For faults that lose nothing.
  void is_a_prefix() const {
    want(std::string_view(in_).substr(0, out_.size()) == out_);
    want(ended() || out_.size() + chain_->held() == in_.size());
  }

 private:
  [[nodiscard]] auto moment() const -> Moment { return {now_, blocked_}; }
  void look() {
    while (chain_->has_released()) {
      want(!end_);
      const Slice bytes = chain_->take_released();
      want(!bytes.empty());
      out_.append(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.size());
    }
    want(out_.size() + chain_->held() <= in_.size());
    want(chain_->held() <= queue_limit + longest_chunk);
    if (chain_->end() == end_) return;
    want(!end_ || chain_->end() == End::session_reset);
    end_ = chain_->end();
  }

  BlockPool blocks_;
  ByteBudget budget_;
  ProxyFaults proxy_;
  MonoTime accepted_{std::chrono::seconds{1000}};
  MonoTime now_ = accepted_;
  SessionFaults session_;
  std::unique_ptr<Chain> chain_;
  Address client_ = *Address::parse_ip("192.0.2.7", 4000);
  std::string in_;
  std::string out_;
  std::optional<End> end_;
  bool in_ended_ = false;
  bool session_ended_ = false;
  bool blocked_ = false;
};

// One fault with values of the input's choice; the first nine kinds lose and change nothing.
auto any_fault(FuzzedDataProvider& input, bool lossless) -> std::string {
  const auto number = [&](int least, int most) { return input.ConsumeIntegralInRange<int>(least, most); };
  const auto share = [&] { return number(0, 100) / 100.0; };
  switch (number(0, lossless ? 8 : 16)) {
    case 0: return fmt::format("latency latency={}ms jitter={}ms", number(0, 200), number(0, 200));
    case 1:
      return fmt::format("latency latency={}ms jitter={}ms distribution={} correlation={}", number(0, 50),
                         number(0, 50), number(0, 1) != 0 ? "pareto" : "normal", share());
    case 2: return fmt::format("bandwidth rate={}KB/s", number(0, 2000));
    case 3: {
      const int size = number(0, 3000);
      return fmt::format("slicer average_size={} size_variation={} delay={}us", size, number(0, size), number(0, 3000));
    }
    case 4: return fmt::format("slow_close delay={}ms", number(0, 500));
    case 5: return "noop";
    case 6: return "stall";
    case 7: return fmt::format("loss rate={} burst={} rto={}ms", share(), number(1, 5), number(1, 200));
    case 8: return fmt::format("first_byte_delay delay={}ms", number(0, 500));
    case 9: return fmt::format("timeout timeout={}ms", number(0, 300));
    case 10: return fmt::format("reset_peer timeout={}ms", number(0, 300));
    case 11: return fmt::format("limit_data bytes={}", number(0, 100'000));
    case 12: return fmt::format("half_close delay={}ms", number(0, 300));
    case 13: return fmt::format("corrupt rate={}", share());
    case 14: return fmt::format("corrupt mode=replace at={} with=0011", number(0, 20'000));
    case 15: return fmt::format("corrupt mode=truncate at={}", number(0, 20'000));
    default: return fmt::format("packet_loss loss_rate={} correlation={}", share(), share());
  }
}

auto any_list(FuzzedDataProvider& input, bool lossless) -> FaultList {
  FaultList list;
  for (int count = input.ConsumeIntegralInRange<int>(0, 4); count > 0; --count) {
    // Few names, so that lists share faults: the same one changed, moved, or another one in its place.
    std::string text = any_fault(input, lossless) + fmt::format(" name=f{}", input.ConsumeIntegralInRange<int>(0, 5));
    if (input.ConsumeBool()) text += fmt::format(" after={}B", input.ConsumeIntegralInRange<int>(0, 50'000));
    if (input.ConsumeBool()) text += fmt::format(" for={}ms", input.ConsumeIntegralInRange<int>(1, 500));
    if (input.ConsumeBool()) {
      const auto all = protocol::framers();
      text += fmt::format(" on={}", all[input.ConsumeIntegralInRange<std::size_t>(0, all.size() - 1)]->name);
      if (input.ConsumeBool()) text += fmt::format(" nth={}", input.ConsumeIntegralInRange<int>(1, 50));
      if (input.ConsumeBool()) text += fmt::format(" every={}", input.ConsumeIntegralInRange<int>(1, 20));
    }
    const auto spec = parse_fault(text);
    if (!spec) continue;  // such as a fault that would do nothing
    if (auto longer = list.with(*spec, input.ConsumeIntegralInRange<std::size_t>(0, 4))) list = *std::move(longer);
  }
  return list;
}

}  // namespace

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  FuzzedDataProvider input(data, size);
  const bool lossless = input.ConsumeBool();
  Path path(input.ConsumeIntegral<std::uint64_t>());
  path.set(any_list(input, lossless));
  std::uint8_t fill = 0;
  const std::uint8_t line = input.ConsumeIntegralInRange<std::uint8_t>(1, 200);  // so long are lines
  for (int step = 0; step < 200 && input.remaining_bytes() > 0; ++step) {
    switch (input.ConsumeIntegralInRange<int>(0, 9)) {
      case 0: path.set(any_list(input, lossless)); break;
      case 1: path.sink(true); break;
      case 2: path.sink(false); break;
      case 3: path.passes(std::chrono::milliseconds{input.ConsumeIntegralInRange<int>(0, 2000)}); break;
      case 4: path.passes(std::chrono::microseconds{input.ConsumeIntegralInRange<int>(0, 2000)}); break;
      case 5:
        if (input.ConsumeIntegralInRange<int>(0, 15) == 0) path.source_ends();
        break;
      default: {
        std::string chunk(input.ConsumeIntegralInRange<std::size_t>(1, longest_chunk), '\0');
        for (char& c : chunk) c = static_cast<char>(fill++ % line == 0 ? '\n' : fill * 7);
        path.comes(chunk);
      }
    }
    if (lossless) path.is_a_prefix();
  }
  path.sink(false);
  const bool in_order = input.ConsumeBool();
  in_order ? path.source_ends() : path.session_ends();
  path.set(FaultList({}, 99));
  path.passes(std::chrono::hours{1});
  want(path.ended());
  if (lossless) want(path.all_came());
  return 0;
}
