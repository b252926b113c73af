// A session told to a diagnosis event by event, at set times, as the relay tells it: when bytes arrived, when they were
// read and written, and what the kernel counted.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/addresses.h"
#include "base/block.h"
#include "diagnose/diagnosis.h"

namespace weir::diagnose::test {

using namespace std::chrono_literals;

inline constexpr MonoTime start{1000s};

// Tells an observer, or whatever takes events.
class Story {
 public:
  explicit Story(std::function<void(const event::Event&)> tell, std::uint64_t session = 1)
      : tell_(std::move(tell)), session_(session) {}

  auto after(Nanos time) -> Story& {
    now_ += time;
    return *this;
  }
  auto accepted() -> Story& {
    return tell(std::make_shared<const event::SessionAccepted>(event::SessionAccepted{client, ip("10.0.0.1", 8888)}));
  }
  auto tried(int error, Nanos took) -> Story& {
    return tell(std::make_shared<const event::ConnectTried>(event::ConnectTried{server, {}, error, took}));
  }
  auto resolved(const std::string& name, Nanos took) -> Story& {
    return tell(std::make_shared<const event::UpstreamResolved>(event::UpstreamResolved{name, {server}, "", took}));
  }
  auto not_resolved(const std::string& name, const std::string& why) -> Story& {
    return tell(std::make_shared<const event::UpstreamResolved>(event::UpstreamResolved{name, {}, why, 50us}));
  }
  auto opened() -> Story& {
    return tell(std::make_shared<const event::SessionOpened>(event::SessionOpened{client, server, 100us}));
  }
  // Accepted and connected within 100 us, each leg with its first counters.
  auto begins() -> Story& {
    accepted().after(100us).opened();
    counters(LegName::client);
    return counters(LegName::server);
  }
  // The kernel's addresses of both legs.
  auto connected() -> Story& {
    event::LegsConnected legs;
    legs.legs.at(index(LegName::client)) = {ip("10.0.0.1", 8888), client};
    legs.legs.at(index(LegName::server)) = {ip("10.0.0.1", 50000), server};
    return tell(std::make_shared<const event::LegsConnected>(legs));
  }
  // Bytes come from one side, are read after `lag`, and passed on after `held`; the kernel counts a segment.
  auto sends(LegName from, std::string_view bytes, Nanos lag = {}, Nanos held = {}) -> Story& {
    const Direction direction = direction_from(from);
    const MonoTime arrived = now_;
    now_ += lag;
    tell(event::ChunkRead{blocks_.copy(std::as_bytes(std::span(bytes))), offsets_.at(index(direction)), arrived,
                          direction});
    offsets_.at(index(direction)) += bytes.size();
    ++counts_.at(index(from)).data_segments_in;
    counters(from);
    now_ += held;
    return tell(event::ChunkWritten{offsets_.at(index(direction)), direction});
  }
  auto client_sends(std::string_view bytes, Nanos lag = {}, Nanos held = {}) -> Story& {
    return sends(LegName::client, bytes, lag, held);
  }
  auto server_sends(std::string_view bytes, Nanos lag = {}, Nanos held = {}) -> Story& {
    return sends(LegName::server, bytes, lag, held);
  }
  auto fault(const std::string& name) -> Story& {
    return tell(std::make_shared<const event::FaultBegan>(event::FaultBegan{name, "latency"}));
  }
  // A side ends its stream; by itself, or by a fault.
  auto half_closes(LegName from, const std::string& fault = "") -> Story& {
    return tell(
        event::HalfClosed{direction_from(from), fault.empty() ? nullptr : std::make_shared<const std::string>(fault)});
  }
  auto closes(event::CloseReason reason = event::CloseReason::client_fin) -> Story& {
    event::SessionClosed closed;
    closed.cause = {.reason = reason};
    closed.client = client;
    closed.upstream = server;
    return tell(std::make_shared<const event::SessionClosed>(closed));
  }
  // What a capture shows of the time before what comes next.
  auto packets(const event::PacketEvidence& evidence) -> Story& {
    return tell(std::make_shared<const event::PacketEvidence>(evidence));
  }
  auto misses(std::uint64_t chunks) -> Story& { return tell(event::Gap{.chunks = chunks}); }

  auto tell(event::What what) -> Story& {
    tell_({now_, ProxyId{}, SessionNumber{session_}, std::move(what)});
    return *this;
  }

  // What the kernel counts of a leg, told with the next counters.
  [[nodiscard]] auto counts(LegName leg) -> event::LegCounters& { return counts_.at(index(leg)); }
  auto counters(LegName leg) -> Story& {
    event::LegCounters now = counts_.at(index(leg));
    now.leg = leg;
    return tell(std::make_shared<const event::LegCounters>(now));
  }

  [[nodiscard]] auto now() const -> MonoTime { return now_; }
  [[nodiscard]] auto bytes(std::string_view text) -> Slice { return blocks_.copy(std::as_bytes(std::span(text))); }

  Address client = ip("10.0.0.7", 40000);
  Address server = ip("10.0.0.9", 5432);

 private:
  std::function<void(const event::Event&)> tell_;
  std::uint64_t session_;
  MonoTime now_ = start;
  std::array<std::uint64_t, 2> offsets_{};
  std::array<event::LegCounters, 2> counts_{};
  BlockPool blocks_;
};

}  // namespace weir::diagnose::test
