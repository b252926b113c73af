// One answer for all who ask for the same at once: who gets which, and what becomes of those who leave.
#include "api/shared_answers.h"

#include <gtest/gtest.h>

#include "api_scene.h"

namespace weir::api {
namespace {

using test::Client;

class SharedAnswersTest : public testing::Test {
 protected:
  auto ask(const std::string& question = "") -> std::unique_ptr<Client> {
    auto client = std::make_unique<Client>();
    answers_.ask(question, client->responder(), [this, question](const auto& batch) {
      asked_.push_back(question);
      batch_ = batch;
    });
    return client;
  }
  void answer(const std::string& text) {
    http::Response response;
    response.body = text;
    std::exchange(batch_, nullptr)->answer(std::move(response));
    loop_->run_once(std::chrono::milliseconds{0});
  }

  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create(SystemClock::instance());
  SharedAnswers answers_{*loop_};
  std::vector<std::string> asked_;
  std::shared_ptr<SharedAnswers::Batch> batch_;  // whose answer is being made
};

TEST_F(SharedAnswersTest, WhoAsksMeanwhileSharesTheNextAnswerAndNotTheOneThatBeganBefore) {
  const auto first = ask();
  std::vector<std::unique_ptr<Client>> others;
  for (int i = 0; i < 50; ++i) others.push_back(ask());
  EXPECT_EQ(asked_.size(), 1u);
  answer("one");
  EXPECT_EQ(first->response().body, "one");
  for (const auto& other : others) EXPECT_FALSE(other->has_response()) << "it would be older than the request";
  ASSERT_EQ(asked_.size(), 2u);
  answer("two");
  for (const auto& other : others) EXPECT_EQ(other->response().body, "two");
  EXPECT_EQ(asked_.size(), 2u);
  const auto later = ask();
  EXPECT_EQ(asked_.size(), 3u);
}

TEST_F(SharedAnswersTest, AnotherQuestionHasAnAnswerOfItsOwnAndOneIsMadeAtATime) {
  const auto a = ask("a");
  const auto b = ask("b");
  const auto c = ask("c");
  const auto b_too = ask("b");
  answer("A");
  EXPECT_EQ(asked_, (std::vector<std::string>{"a", "b"}));
  answer("B");
  answer("C");
  EXPECT_EQ(asked_, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(b->response().body, "B");
  EXPECT_EQ(b_too->response().body, "B");
  EXPECT_EQ(c->response().body, "C");
}

TEST_F(SharedAnswersTest, NothingIsMadeForWhoHasLeft) {
  const auto first = ask();
  ask("left")->leave();
  EXPECT_TRUE(batch_->is_awaited());
  first->leave();
  EXPECT_FALSE(batch_->is_awaited());
  const auto last = ask("last");
  answer("nobody's");
  EXPECT_EQ(asked_, (std::vector<std::string>{"", "last"}));
}

TEST_F(SharedAnswersTest, AnAnswerThatIsNotMadeIsToldToAllAndTheNextOneIsMade) {
  const auto first = ask();
  const auto next = ask();
  batch_ = nullptr;
  EXPECT_TRUE(first->was_forgotten());
  loop_->run_once(std::chrono::milliseconds{0});
  answer("two");
  EXPECT_EQ(next->response().body, "two");
}

TEST_F(SharedAnswersTest, WhatIsMadeMayOutliveWhoAskedForIt) {
  auto answers = std::make_unique<SharedAnswers>(*loop_);
  Client client;
  std::shared_ptr<SharedAnswers::Batch> batch;
  answers->ask("", client.responder(), [&](const auto& made) { batch = made; });
  answers.reset();
  batch->answer({.status = 200});
  EXPECT_EQ(client.status(), 200);
}

using MergedQuestions = test::ApiScene;

TEST_F(MergedQuestions, FiftyWhoAskAtOnceCostTwoQuestions) {
  ASSERT_EQ(ask("POST", "/populate", many(1000))->status(), 201);
  for (const std::string target : {"/api/v1/sessions", "/metrics", "/proxies", "/api/v1/proxies"}) {
    std::vector<std::unique_ptr<Client>> clients;
    std::set<const void*> bodies;
    for (int i = 0; i < 50; ++i) clients.push_back(begin("GET", target));
    for (const auto& client : clients) {
      ASSERT_TRUE(comes(*client)) << target;
      ASSERT_EQ(client->status(), 200);
      bodies.insert(client->response().shared_body.at(0).get());
    }
    EXPECT_LE(bodies.size(), 3u) << target;
  }
}

}  // namespace
}  // namespace weir::api
