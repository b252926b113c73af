// A session at whose peers' sockets a diagnosis looks.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/told.h"

namespace weir::diagnose::test {

// A session whose peers are on this host; what their sockets are like, the test says.
class LooksTest : public VerdictsTest {
 protected:
  LooksTest() {
    sockets[LegName::server] = PeerState{.inode = 7, .owner = 7};
    sockets[LegName::client] = PeerState{.inode = 8};
    story.client = ip("127.0.0.1", 40000);
    story.server = ip("127.0.0.1", 5432);
  }
  auto begins() -> Story& {
    story.begins();
    return story.connected();
  }
  // Time passes, and the observer's thread is woken whenever it asked to be.
  auto waits(Nanos time) -> Story& {
    const MonoTime end = story.now() + time;
    while (true) {
      const auto due = diagnosis.flush_due();
      if (!due || story.now() + *due > end) break;
      story.after(std::max(*due, Nanos{}));
      asked_at.push_back(story.now());
      EXPECT_TRUE(diagnosis.flush());
    }
    return story.after(end - story.now());
  }
  auto told() -> std::vector<std::string> {
    story.tell(event::Acknowledged{});  // behind it, no counters are waited for
    diagnosis.on_end();                 // nor what other sessions will show
    return VerdictsTest::told();
  }
  [[nodiscard]] auto evidence(std::string_view name) const -> std::int64_t {
    const auto found = std::ranges::find(last.evidence, name, &Evidence::name);
    return found == last.evidence.end() ? -1 : found->value;
  }

  static auto leg_of_own_end(const event::LegAddresses& leg) -> LegName {
    return leg.local.port() == 5432 ? LegName::server : LegName::client;
  }

  std::map<LegName, std::optional<PeerState>> sockets;
  std::map<LegName, std::optional<PeerState>> own_ends;
  std::optional<PeerProcess> owner;
  std::optional<PeerProcess> process;
  std::vector<Address> looked;
  std::vector<MonoTime> asked_at;
  bool is_here = true;
  std::uint16_t elsewhere = 0;  // the port of a peer that is not, though others are
  int asked_where = 0;
  Diagnosis diagnosis{{.server = "db:5432",
                       .exchanges = {},
                       .on_verdict = note(),
                       .eyes = {.now = [this] { return story.now(); },
                                .is_here =
                                    [this](const Address& peer) {
                                      ++asked_where;
                                      return is_here && peer.port() != elsewhere;
                                    },
                                .look = [this](const event::LegAddresses& leg) -> std::optional<PeerState> {
                                  looked.push_back(leg.peer);
                                  if (leg.peer.host_string() == "10.0.0.1") return own_ends[leg_of_own_end(leg)];
                                  return sockets[leg.peer.port() == 5432 ? LegName::server : LegName::client];
                                },
                                .owner = [this](std::uint32_t) { return owner; },
                                .process = [this](std::uint32_t) { return process; }}}};
  Story story{[this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }};
};

}  // namespace weir::diagnose::test
