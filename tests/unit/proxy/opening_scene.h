// An opening on virtual time and without a socket: what happens goes in, and what it asks for comes out as
// lines that read like a trace. The test plays the session.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/upstream_address.h"
#include "fault/catalog.h"
#include "proxy/opening.h"

namespace weir::proxy::opening_scene {

using event::TimeoutName;

constexpr MonoTime start{std::chrono::seconds{1000}};
constexpr Nanos moment{1};

inline auto ip(const std::string& host, std::uint16_t port = 5432) -> Address {
  return Address::parse_ip(host, port).value();
}
inline auto socket_file(const std::string& path) -> Address { return Address(Address::Unix{path}); }
inline auto as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
inline auto as_text(std::span<const std::byte> bytes) -> std::string {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Scene : public testing::Test {
 protected:
  Scene() { set_upstream(ip("10.0.0.1")); }

  // --- before begins() ---
  void set(TimeoutName name, std::optional<Nanos> value) { settings_.rules.timeouts.set(name, value); }
  void set_upstream_name() { settings_.rules.upstream = UpstreamAddress::parse("db.example:5432").value(); }
  void set_upstream(const Address& address) { settings_.rules.upstream = {address, ""}; }
  void set_faults(const std::vector<std::string>& texts) {
    std::vector<fault::FaultList::Entry> entries;
    for (const auto& text : texts) {
      entries.push_back(std::make_shared<const fault::FaultSpec>(fault::parse_fault(text).value()));
    }
    faults_ = fault::FaultList(std::move(entries), ++revision_);
    if (opening_) opening_->rules_changed(rules(), now_);
  }
  [[nodiscard]] auto rules() -> OpeningRules { return {&settings_, &faults_, &fault_state_}; }

  auto faults_become(const std::vector<std::string>& texts) -> std::string { return set_faults(texts), asks(); }

  // --- what happens; each returns what is asked for then ---
  auto begins() -> std::string {
    opening_.emplace(Accepted{SessionNumber{1}, now_, ClientAddress(ip("192.0.2.1", 4000))}, rules());
    opening_->begin(now_);
    return asks();
  }
  // The session has an upstream of several addresses, and tries the first.
  auto begins_with(const std::vector<Address>& addresses) -> std::string {
    set_upstream_name();
    EXPECT_EQ(begins(), "resolve db.example:5432");
    return resolves(addresses);
  }
  auto resolves(const Result<net::Addresses>& answer) -> std::string {
    opening_->on_resolved(answer, now_);
    return asks();
  }
  auto is_in_progress() -> std::string { return comes_out({ConnectOutcome::Kind::in_progress, 0, {}}); }
  auto connects() -> std::string { return comes_out({}); }
  auto fails(int error) -> std::string {
    return comes_out(
        {ConnectOutcome::Kind::failed, error, opening_->server()->address.to_string() + ": " + errno_text(error)});
  }
  auto hears(LegName from, std::string_view text) -> std::string {
    EXPECT_TRUE(opening_->reads(from));
    opening_->on_bytes(from, as_bytes(text), now_);
    return asks();
  }
  auto ends(LegName from) -> std::string { return opening_->on_end(from, now_), asks(); }
  auto breaks(LegName leg) -> std::string { return opening_->on_break(leg, now_), asks(); }
  auto takes(LegName to, std::size_t bytes) -> std::string { return opening_->on_sent(to, bytes, now_), asks(); }
  // Time goes by, moment by moment at which something is due.
  auto passes(Nanos time) -> std::string {
    const MonoTime end = now_ + time;
    std::string asked;
    for (int moments = 0; due() <= end; ++moments) {
      if (moments > 10'000) return "time stands still";
      now_ = std::max(now_, due());
      opening_->on_time(now_);
      const std::string more = asks();
      asked += (asked.empty() || more.empty() ? "" : ", ") + more;
      if (!more.empty() && stops_at_question_) break;
    }
    now_ = std::max(now_, asked.empty() || !stops_at_question_ ? end : now_);
    return asked;
  }
  // It fails after exactly so long.
  void fails_after(Nanos time, std::string_view how) {
    EXPECT_EQ(passes(time - moment), "") << "too early";
    EXPECT_EQ(passes(moment), how);
    EXPECT_EQ(phase(), OpeningPhase::over);
    EXPECT_EQ(due(), MonoTime::max()) << "nothing runs on";
  }

  [[nodiscard]] auto phase() const -> OpeningPhase { return opening_->phase(); }
  [[nodiscard]] auto due() const -> MonoTime { return std::min(opening_->timeout_at(), opening_->alarm_at()); }
  [[nodiscard]] auto to_send(LegName to) const -> std::string { return as_text(opening_->to_send(to)); }

  MonoTime now_ = start;
  ProxySettings settings_;
  fault::FaultList faults_;
  fault::ProxyFaults fault_state_{7, "web"};
  std::optional<Opening> opening_;
  std::optional<Opening::Done> done_;
  bool counts_for_upstream_ = false;
  bool stops_at_question_ = false;  // of a retry, so that the test can answer it

 private:
  auto comes_out(const ConnectOutcome& outcome) -> std::string { return opening_->on_connect(outcome, now_), asks(); }

  // "connect 10.0.0.1:5432", "fail connect.refused after 0s, RST: ..."; "" if it waits.
  auto asks() -> std::string {
    std::string lines;
    while (auto command = opening_->next_command()) {
      lines +=
          (lines.empty() ? "" : ", ") + std::visit([this](const auto& each) { return this->line(each); }, *command);
    }
    return lines;
  }
  static auto line(const Opening::Resolve& what) -> std::string {
    return "resolve " + what.name.host + ":" + std::to_string(what.name.port);
  }
  static auto line(const Opening::Connect& what) -> std::string {
    return "connect " + what.to.address.to_string() + (what.from ? " from " + what.from->address.to_string() : "");
  }
  static auto line(const Opening::FaultApplies& what) -> std::string { return "fault " + what.fault->name; }
  auto line(const Opening::Fail& what) -> std::string {
    counts_for_upstream_ = what.of_upstream;
    const std::string how = what.reset ? "RST" : "FIN";
    return describe(what.cause) + " with " + how + (what.detail.empty() ? "" : ": " + what.detail);
  }
  auto line(const Opening::Done& what) -> std::string {
    done_ = what;
    const auto of = [&](LegName leg) { return as_text(what.read[index(leg)]); };
    return "done" + (of(LegName::client).empty() ? "" : ", the client said " + of(LegName::client)) +
           (of(LegName::server).empty() ? "" : ", the server said " + of(LegName::server));
  }
  std::uint64_t revision_ = 0;
};

}  // namespace weir::proxy::opening_scene
