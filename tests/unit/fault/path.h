// The path of one direction's bytes through the faults of a session, on virtual time: chunks come in,
// and what goes out is kept as lines that say when ("100ms hello", "250ms FIN").
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fault/session_faults.h"

namespace weir::fault::test {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline auto list_of(const std::vector<std::string>& texts) -> FaultList {
  FaultList list;
  for (const auto& text : texts) {
    auto spec = parse_fault(text);
    EXPECT_TRUE(spec) << text << ": " << (spec ? "" : spec.error().message);
    auto longer = list.with(*std::move(spec));
    EXPECT_TRUE(longer) << text;
    list = *std::move(longer);
  }
  return list;
}

struct PathOptions {
  std::uint64_t seed = 7;
  std::uint64_t session = 1;
  Direction direction = Direction::downstream;
  Nanos age{};               // of the session when the path is laid
  std::uint64_t offset = 0;  // of its stream
  std::uint64_t queue_limit = default_queue_limit;
};

class Path final {
 public:
  explicit Path(const std::vector<std::string>& faults, const PathOptions& options = {},
                std::shared_ptr<ProxyFaults> proxy = nullptr)
      : proxy_(proxy ? std::move(proxy) : std::make_shared<ProxyFaults>(options.seed, "web")),
        options_(options),
        began_(MonoTime{seconds{1000}}),
        now_(began_),
        session_(*proxy_),
        chain_(std::make_unique<Chain>(ChainPlace{.direction = options.direction,
                                                  .blocks = blocks_,
                                                  .accepted = began_ - options.age,
                                                  .offset = options.offset,
                                                  .queue_limit = options.queue_limit,
                                                  .framings = &session_.framings()})) {
    has(faults);
  }
  Path(const Path&) = delete;
  auto operator=(const Path&) -> Path& = delete;
  ~Path() { chain_.reset(); }

  // From now on these are the proxy's faults.
  void has(const std::vector<std::string>& faults) { has(list_of(faults)); }
  void has(const FaultList& list) {
    const auto change = session_.choose(list, {SessionNumber{options_.session}, client_, began_ - options_.age});
    chain_->set(moment(), session_.in(options_.direction), change.changed);
    look();
  }
  void comes(std::string_view text) {
    chain_->on_chunk(moment(), blocks_.copy(std::as_bytes(std::span(text))));
    look();
  }
  void ends() {
    chain_->on_end(moment());
    look();
  }
  void session_ends() {
    chain_->on_session_end(moment());
    look();
  }
  void passes(Nanos time) {
    const MonoTime end = now_ + time;
    for (int moments = 0; chain_->alarm() && *chain_->alarm() <= end; ++moments) {
      ASSERT_LT(moments, 10'000'000) << "alarms without end";
      now_ = std::max(now_, *chain_->alarm());
      chain_->on_alarm(moment());
      look();
    }
    now_ = end;
  }
  void sink_blocks() { blocked_ = true; }
  void sink_has_room() {
    blocked_ = false;
    chain_->on_room(moment());
    look();
  }

  [[nodiscard]] auto told() -> std::vector<std::string> { return std::exchange(told_, {}); }
  [[nodiscard]] auto out() const -> const std::string& { return out_; }
  // Offsets in the stream that came out at which a send ended.
  [[nodiscard]] auto cuts() const -> const std::vector<std::uint64_t>& { return cuts_; }
  [[nodiscard]] auto ended() const -> std::optional<End> { return end_; }
  [[nodiscard]] auto end_maker() const -> const FaultSpec* { return chain_->end_maker(); }
  [[nodiscard]] auto held() const -> std::uint64_t { return chain_->held(); }
  [[nodiscard]] auto takes_more() const -> bool { return !chain_->is_full(); }
  [[nodiscard]] auto session() const -> const SessionFaults& { return session_; }
  [[nodiscard]] auto age() const -> Nanos { return now_ - began_; }
  Address client_ = Address::parse_ip("192.0.2.7", 4000).value();

 private:
  [[nodiscard]] auto moment() const -> Moment { return {now_, blocked_}; }
  // What is due now happens, as a loop would have it.
  void look() {
    take();
    for (int alarms = 0; !blocked_ && chain_->alarm() && *chain_->alarm() <= now_; ++alarms) {
      ASSERT_LT(alarms, 10'000'000) << "alarms without end";
      chain_->on_alarm(moment());
      take();
    }
  }
  // What the chain released, and whether it asked for an end.
  void take() {
    while (chain_->has_released()) {
      const Slice bytes = chain_->take_released();
      const auto* text = reinterpret_cast<const char*>(bytes.bytes().data());
      out_.append(text, bytes.size());
      cuts_.push_back(out_.size());
      tell(std::string(text, bytes.size()));
    }
    if (chain_->end() == end_) return;
    EXPECT_TRUE(!end_ || chain_->end() == End::session_reset) << "ended twice";
    end_ = chain_->end();
    tell(end_ == End::fin ? "FIN" : end_ == End::session_fin ? "session FIN" : "RST");
  }
  void tell(const std::string& what) {
    const auto when = std::chrono::duration_cast<microseconds>(now_ - began_).count();
    told_.push_back(when % 1000 == 0 ? fmt::format("{}ms {}", when / 1000, what) : fmt::format("{}us {}", when, what));
  }

  BlockPool blocks_;
  std::shared_ptr<ProxyFaults> proxy_;
  PathOptions options_;
  MonoTime began_;
  MonoTime now_;
  SessionFaults session_;
  std::unique_ptr<Chain> chain_;
  std::vector<std::string> told_;
  std::string out_;
  std::vector<std::uint64_t> cuts_;
  std::optional<End> end_;
  bool blocked_ = false;
};

using testing::ElementsAre;
using testing::IsEmpty;

}  // namespace weir::fault::test
