// The routes of the API without a socket: a request in, a response out, over an engine that runs.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "api/access.h"
#include "api/metrics.h"
#include "api/native_routes.h"
#include "api/toxiproxy_routes.h"
#include "control/bulk_changes.h"
#include "control/registry.h"
#include "http/handler.h"
#include "net/places.h"

namespace weir::api::test {

using net::test::wait_until;

// Who waits for the response to one request.
class Client final : private http::ResponseReceiver {
 public:
  auto responder() -> http::Responder { return make_responder(); }
  void leave() { stop_waiting(); }
  [[nodiscard]] auto has_response() const -> bool { return response_.has_value(); }
  [[nodiscard]] auto was_forgotten() const -> bool { return forgotten_; }
  [[nodiscard]] auto response() const -> const http::Response& { return *response_; }
  [[nodiscard]] auto status() const -> int { return response_ ? response_->status : 0; }
  [[nodiscard]] auto json() const -> Json { return response_ ? Json::parse(response_->body) : Json(); }
  [[nodiscard]] auto header(std::string_view name) const -> std::string {
    for (const auto& [key, value] : response_->headers) {
      if (key == name) return value;
    }
    return {};
  }

 private:
  void on_response(http::Response response) override {
    response.body = response.text();
    response_ = std::move(response);
  }
  void on_no_response() override { forgotten_ = true; }
  std::optional<http::Response> response_;
  bool forgotten_ = false;
};

using Headers = std::map<std::string, std::string>;

class ApiScene : public testing::Test {
 protected:
  explicit ApiScene(const Clock& clock = SystemClock::instance())
      : engine_(*engine::Engine::create({.workers = 2, .clock = &clock})) {
    engine_->start();
    registry_.set_diagnoses(diagnoses_);
  }

  // Asks and goes on; the response comes while the loop turns.
  auto begin(const std::string& method, const std::string& target, const std::string& body = "",
             const Headers& headers = {}) -> std::unique_ptr<Client> {
    auto client = std::make_unique<Client>();
    http::Request request{.method = method, .path = target, .query = {}, .headers = headers, .body = body};
    if (const auto mark = target.find('?'); mark != std::string::npos) {
      request.path = target.substr(0, mark);
      const auto equals = target.find('=', mark);
      request.query[target.substr(mark + 1, equals - mark - 1)] = target.substr(equals + 1);
    }
    if (family_of(request.path) == RouteFamily::toxiproxy) {
      toxiproxy_.handle(request, client->responder());
    } else if (request.path == "/metrics") {
      metrics_.handle(client->responder());
    } else {
      native_.handle(request, client->responder());
    }
    return client;
  }
  auto comes(const Client& client) -> bool {
    return wait_until([&] {
      if (!client.has_response() && !client.was_forgotten()) loop_->run_once(std::chrono::milliseconds{5});
      return client.has_response() || client.was_forgotten();
    });
  }
  auto ask(const std::string& method, const std::string& target, const std::string& body = "",
           const Headers& headers = {}) -> std::unique_ptr<Client> {
    auto client = begin(method, target, body, headers);
    EXPECT_TRUE(comes(*client)) << method << " " << target << ": no answer";
    EXPECT_FALSE(client->was_forgotten()) << method << " " << target;
    return client;
  }
  void turn(int times = 20) {
    for (int i = 0; i < times; ++i) loop_->run_once(std::chrono::milliseconds{1});
  }
  auto proxy(const std::string& name) -> const ProxyEntry* { return registry_.find(name); }
  auto make_proxy(const std::string& name, const Headers& headers = {}) -> std::uint16_t {
    const auto made = ask("POST", "/api/v1/proxies",
                          Json{{"name", name}, {"upstream", upstream_address_.to_string()}}.dump(), headers);
    EXPECT_EQ(made->status(), 201) << made->response().body;
    return proxy(name)->rules.listen.addresses[0].port();
  }
  auto connect(std::uint16_t port) -> Fd {
    return std::move(kernel_.connect(*Address::parse_ip("127.0.0.1", port), {})->fd);
  }
  // So many proxies as POST /populate takes them.
  static auto many(int count, const std::string& prefix = "p") -> std::string {
    Json all = Json::array();
    for (int i = 0; i < count; ++i) {
      all.push_back({{"name", fmt::format("{}{:05}", prefix, i)}, {"listen", "127.0.0.1:0"}, {"upstream", "x:1"}});
    }
    return all.dump();
  }

  net::KernelSockets kernel_;
  Fd upstream_ = kernel_.listen(*Address::parse_ip("127.0.0.1", 0), {}).value();
  Address upstream_address_ = net::local_address(upstream_.get()).value();
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create(SystemClock::instance());
  syslog::TargetLog log_;
  std::unique_ptr<engine::Engine> engine_;
  control::EventLog events_;
  std::vector<std::string> told_;
  Registry registry_{*engine_,
                     [this](const control::Change& change) { told_.push_back(change.what + " " + change.proxy); }};
  std::vector<control::SessionWatch::Item> verdict_events_;
  control::Diagnoses diagnoses_{*engine_, *loop_, [this](std::vector<control::SessionWatch::Item>&& items) {
                                  for (auto& item : items) verdict_events_.push_back(std::move(item));
                                }};
  control::Turns changes_{*loop_, log_, control::paced_by(*engine_, *loop_)};
  control::Turns lists_{*loop_, log_, {}, control::Turns::Order::in_turns};
  control::Leases leases_{*loop_, [this](const std::string& lease, std::function<void()> then) {
                            const auto ending = std::make_shared<control::LeaseEnding>(registry_, lease);
                            changes_.add("the end of a lease", [ending, then = std::move(then)] {
                              if (ending->step()) return true;
                              then();
                              return false;
                            });
                          }};
  control::ApiParts parts_{.loop = *loop_,
                           .registry = registry_,
                           .events = events_,
                           .leases = leases_,
                           .diagnoses = diagnoses_,
                           .changes = changes_,
                           .lists = lists_,
                           .log = log_,
                           .listens_on = {},
                           .http_connections = [] { return std::size_t{3}; }};
  MetricsRoute metrics_{parts_};
  ToxiproxyRoutes toxiproxy_{parts_, "1.2.3"};
  NativeRoutes native_{parts_, "1.2.3"};
};

}  // namespace weir::api::test
