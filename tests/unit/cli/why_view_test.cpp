// A view with a diagnosis beside it: what is shown, and in which order.
#include "cli/why_view.h"

#include "diagnose/story.h"

namespace weir::cli {
namespace {

using namespace diagnose::test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Lines = std::vector<std::string>;

class Recorder final : public view::View {
 public:
  explicit Recorder(Lines& lines) : lines_(lines) {}
  void on_event(const event::Event& event, Nanos) override {
    const std::string number = fmt::format("#{} ", static_cast<std::uint64_t>(event.session));
    if (const auto* chunk = std::get_if<event::ChunkRead>(&event.what)) {
      const auto bytes = chunk->bytes.bytes();
      lines_.push_back(number + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    } else if (std::holds_alternative<std::shared_ptr<const event::SessionOpened>>(event.what)) {
      lines_.push_back(number + "opened");
    } else if (std::holds_alternative<std::shared_ptr<const event::SessionClosed>>(event.what)) {
      lines_.push_back(number + "closed");
    } else if (const auto* gap = std::get_if<event::Gap>(&event.what)) {
      lines_.push_back(fmt::format("gap {} {}", gap->chunks, gap->bytes));
    }
  }
  void on_verdict(const event::Verdict& verdict, Nanos) override {
    lines_.push_back(fmt::format("#{} {} {} {} {}", static_cast<std::uint64_t>(verdict.session), verdict.exchange,
                                 verdict.cause, verdict.side, verdict.length / 1ms));
  }
  auto flush() -> bool override { return true; }

 private:
  Lines& lines_;
};

class WhyViewTest : public testing::Test {
 protected:
  void make(WhyViewOptions options) {
    view = std::make_unique<WhyView>(std::make_unique<Recorder>(lines), std::move(options));
  }
  auto story(std::uint64_t session = 1) -> Story {
    return Story([this](const event::Event& event) { view->on_event(event, Nanos{}); }, session);
  }
  Lines lines;
  std::unique_ptr<WhyView> view;
};

TEST_F(WhyViewTest, AVerdictStandsBehindWhatEndedItsPause) {
  make({.server = "db:5432"});
  story().begins().client_sends("q").after(40ms).server_sends("r").after(10us).client_sends("q2").closes();
  EXPECT_THAT(lines, ElementsAre("#1 opened", "#1 q", "#1 r", "#1 1 think server 40", "#1 q2", "#1 closed"));
}

TEST_F(WhyViewTest, OnlySlowExchangesAreShownWithTheirSession) {
  make({.server = "db:5432", .verdicts = false, .slow = 50ms});
  Story quick = story(1);
  quick.begins().client_sends("q").after(5ms).server_sends("r").after(10s).client_sends("q").server_sends("r");
  quick.after(1ms).closes();
  EXPECT_THAT(lines, IsEmpty()) << "a client that waits long for its next request is not slow";
  Story slow = story(2);
  slow.begins().client_sends("one").after(5ms).server_sends("1").after(1ms);
  slow.client_sends("two").after(60ms).server_sends("2");
  EXPECT_THAT(lines, ElementsAre("#2 opened", "#2 two", "#2 2")) << "as soon as it is slow";
  slow.after(1ms).client_sends("three").after(5ms).server_sends("3").after(1s).closes();
  EXPECT_THAT(lines, ElementsAre("#2 opened", "#2 two", "#2 2", "#2 closed"));
  EXPECT_EQ(view->held_bytes(), 0u);
}

TEST_F(WhyViewTest, AGreetingIsOfNoExchange) {
  make({.verdicts = false, .slow = 50ms});
  story().begins().after(1ms).server_sends("hello").after(10s).client_sends("q").after(1ms).server_sends("r").closes();
  EXPECT_THAT(lines, IsEmpty());
}

TEST_F(WhyViewTest, ARequestThatIsNeverAnsweredIsSlow) {
  make({.verdicts = false, .slow = 50ms});
  story().begins().client_sends("q").after(60ms).closes();
  EXPECT_THAT(lines, ElementsAre("#1 opened", "#1 q", "#1 closed"));
}

TEST_F(WhyViewTest, ASlowExchangeIsShownWithItsVerdicts) {
  make({.slow = 50ms});
  story().begins().client_sends("q").after(60ms).server_sends("r").closes();
  EXPECT_THAT(lines, ElementsAre("#1 opened", "#1 q", "#1 r", "#1 1 think server 60", "#1 closed"));
}

TEST_F(WhyViewTest, WhatIsHeldIsBounded) {
  make({.verdicts = false, .slow = 50ms});
  Story much = story();
  much.begins().client_sends("q");
  const std::string piece(64 * 1024, 'x');
  for (int i = 0; i < 100; ++i) much.server_sends(piece);
  EXPECT_LE(view->held_bytes(), WhyView::most_held_of_session);
  much.after(60ms).server_sends("end");
  ASSERT_THAT(lines.back(), HasSubstr("end"));
  EXPECT_THAT(lines[lines.size() - 2], testing::StartsWith("gap ")) << "what was not held is told";
  EXPECT_EQ(view->held_bytes(), 0u);
}

}  // namespace
}  // namespace weir::cli
