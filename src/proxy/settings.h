#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/address.h"
#include "base/ids.h"
#include "event/ring.h"
#include "proxy/rules.h"

namespace weir::proxy {

// Asked per session where to connect. Fixed now; the original destination or a TLS server name can
// answer later. Called on workers' threads: must be safe to share.
class UpstreamSelector {
 public:
  virtual ~UpstreamSelector() = default;
  [[nodiscard]] virtual auto select(const Address& client) const -> UpstreamAddress = 0;
};

class FixedUpstream final : public UpstreamSelector {
 public:
  explicit FixedUpstream(UpstreamAddress upstream) : upstream_(std::move(upstream)) {}
  [[nodiscard]] auto select(const Address&) const -> UpstreamAddress override { return upstream_; }

 private:
  UpstreamAddress upstream_;
};

// What a client sends before its stream begins: a PROXY header, SOCKS, CONNECT, a TLS hello. Sans-io,
// one per session. None yet outside the tests; the session's phase for it is there.
class Preface {
 public:
  virtual ~Preface() = default;
  enum class Outcome : std::uint8_t { need_more, complete, malformed };
  struct Verdict {
    Outcome outcome = Outcome::need_more;
    std::size_t consumed = 0;  // complete: these belong to the preface, the rest to the stream
  };
  // All bytes so far, from the first; at most `limit`.
  [[nodiscard]] virtual auto read(std::span<const std::byte> bytes) -> Verdict = 0;
  // Complete: where the client asked to go, if it did.
  [[nodiscard]] virtual auto upstream() const -> std::optional<UpstreamAddress> { return std::nullopt; }
  static constexpr std::size_t limit = 16 * 1024;
};

// A proxy as its sessions see it. A value that never changes: a change of the proxy is another one, and a
// session keeps the one that it has until its worker gives it the next (Session::settings_changed).
struct ProxySettings {
  ProxyId id{};
  std::string name;
  ProxyRules rules;
  std::shared_ptr<const UpstreamSelector> upstream;        // null: rules.upstream
  std::function<std::unique_ptr<Preface>()> make_preface;  // may be empty
  std::optional<std::uint64_t> accept_limit;               // accepted in all, then the listener closes (--once)
  std::optional<Address> forbidden;  // never connected to: Weir's own API, whatever name leads there
};

// The little that the workers of one proxy share, all atomic.
struct ProxyShared {
  std::atomic<std::uint64_t> accepted{0};  // also the last session's number
  std::atomic<std::uint64_t> live{0};      // sessions
  std::atomic<std::uint64_t> peak{0};      // the most that were live at once
  std::atomic<std::uint64_t> places{0};    // taken before each accept(2), so at times one more a worker than live
  std::atomic<std::uint64_t> refused_accepts{0};  // times the listener waited: no descriptor, too many sessions
  std::function<void()> on_place_free;            // any worker's thread; set before the first accept

  // Takes a place for one more session, unless `most` are taken: then false. `most` is never exceeded,
  // however many workers accept at once.
  [[nodiscard]] auto take_place(std::optional<std::uint64_t> most) -> bool {
    std::uint64_t now = places.load(std::memory_order_relaxed);
    do {
      if (most && now >= *most) return false;
    } while (!places.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
    return true;
  }
  // The place has its session.
  void session_began() {
    const std::uint64_t now = live.fetch_add(1, std::memory_order_relaxed) + 1;
    std::uint64_t seen = peak.load(std::memory_order_relaxed);
    while (seen < now && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
  }
  // The session ended, or none came: `session_ended` gives back its place too. The caller calls
  // on_place_free when all else is done: whoever reads `places` then must not see the old count, hence no
  // weaker order.
  void session_ended() {
    live.fetch_sub(1, std::memory_order_relaxed);
    give_place_back();
  }
  void give_place_back() { places.fetch_sub(1, std::memory_order_seq_cst); }
};

}  // namespace weir::proxy
