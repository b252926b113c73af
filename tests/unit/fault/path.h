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
};

class Path final : private StageContext {
 public:
  explicit Path(const std::vector<std::string>& faults, const PathOptions& options = {},
                std::shared_ptr<ProxyFaults> proxy = nullptr)
      : proxy_(proxy ? std::move(proxy) : std::make_shared<ProxyFaults>(options.seed, "web")),
        options_(options),
        began_(MonoTime{seconds{1000}}),
        now_(began_),
        session_(*proxy_),
        chain_(std::make_unique<Chain>(options.direction, blocks_, began_ - options.age, options.offset)),
        in_(options.offset) {
    has(faults);
  }
  Path(const Path&) = delete;
  auto operator=(const Path&) -> Path& = delete;
  ~Path() { chain_.reset(); }

  // From now on these are the proxy's faults.
  void has(const std::vector<std::string>& faults) { has(list_of(faults)); }
  void has(const FaultList& list) {
    const auto change = session_.choose(list, {SessionNumber{options_.session}, client_, began_ - options_.age});
    chain_->set(*this, session_.in(options_.direction), change.changed);
  }
  void comes(std::string_view text) {
    Slice bytes = blocks_.copy(std::as_bytes(std::span(text)));
    held_ += text.size();
    chunk_at_ = in_;
    in_ += text.size();
    chain_->on_chunk(*this, std::move(bytes));
  }
  void ends() { chain_->on_end(*this); }
  void session_ends() { chain_->on_session_end(*this); }
  void passes(Nanos time) {
    const MonoTime end = now_ + time;
    for (int moments = 0; alarm_ && *alarm_ <= end; ++moments) {
      ASSERT_LT(moments, 10'000'000) << "alarms without end";
      now_ = std::max(now_, *alarm_);
      alarm_.reset();
      chain_->on_alarm(*this);
    }
    now_ = end;
  }
  void sink_blocks() { blocked_ = true; }
  void sink_has_room() {
    blocked_ = false;
    chain_->on_room(*this);
  }

  [[nodiscard]] auto told() -> std::vector<std::string> { return std::exchange(told_, {}); }
  [[nodiscard]] auto out() const -> const std::string& { return out_; }
  // Offsets in the stream that came out at which a send ended.
  [[nodiscard]] auto cuts() const -> const std::vector<std::uint64_t>& { return cuts_; }
  [[nodiscard]] auto ended() const -> std::optional<End> { return end_; }
  [[nodiscard]] auto held() const -> std::uint64_t { return held_; }
  [[nodiscard]] auto takes_more() const -> bool { return chain_->takes_more(); }
  [[nodiscard]] auto session() const -> const SessionFaults& { return session_; }
  [[nodiscard]] auto age() const -> Nanos { return now_ - began_; }
  Address client_ = Address::parse_ip("192.0.2.7", 4000).value();

 private:
  [[nodiscard]] auto now() const -> MonoTime override { return now_; }
  void emit(Slice bytes) override {
    const auto* text = reinterpret_cast<const char*>(bytes.bytes().data());
    held_ -= bytes.size();
    out_.append(text, bytes.size());
    cuts_.push_back(out_.size());
    tell(std::string(text, bytes.size()));
  }
  void drop(std::size_t count) override {
    ASSERT_GE(held_, count) << "dropped twice";
    held_ -= count;
  }
  void arm(MonoTime when) override { alarm_ = when; }
  void disarm() override { alarm_.reset(); }
  void end(End how) override {
    EXPECT_TRUE(!end_ || (how == End::session_reset && end_ != how)) << "ended twice";
    end_ = how;
    tell(how == End::fin ? "FIN" : how == End::session_fin ? "session FIN" : "RST");
  }
  [[nodiscard]] auto offset() const -> std::uint64_t override { return chunk_at_; }
  [[nodiscard]] auto sink_is_blocked() const -> bool override { return blocked_; }
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
  std::optional<MonoTime> alarm_;
  std::vector<std::string> told_;
  std::string out_;
  std::vector<std::uint64_t> cuts_;
  std::optional<End> end_;
  std::uint64_t in_ = 0;
  std::uint64_t chunk_at_ = 0;
  std::uint64_t held_ = 0;
  bool blocked_ = false;
};

using testing::ElementsAre;
using testing::IsEmpty;

}  // namespace weir::fault::test
