#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "diagnose/pause.h"
#include "diagnose/request_shape.h"

namespace weir::diagnose {

// One request and its response, by turns: a request begins with the first byte from the client after one from the
// server. A server that speaks first has a response without a request, which is no exchange.
struct Exchange {
  std::uint64_t number = 0;                 // in the session, from 1
  MonoTime begin{};                         // the request's first byte has arrived
  MonoTime end{};                           // the response's last byte was passed on
  bool answered = true;                     // false: the session ended before its response began
  Nanos relayed{};                          // of the time between, what a relay's other connection tells
  std::array<std::uint64_t, 2> bytes{};     // by Direction
  std::array<Nanos, segment_count> time{};  // by Segment; they add up to end - begin - relayed
  std::array<Nanos, segment_count> told{};  // of this, as pauses
  Nanos gap{};                              // client_waits before it, or since the session was opened
  Purpose purpose{};
  Bursts bursts{};               // of the response
  RateCurve curve{};             // of the response
  std::uint64_t own_window = 0;  // what Weir may be sent at once on the server leg, bytes; 0: the kernel did not say
  std::uint32_t pipelined = 0;   // requests that came behind a whole one, before the answer
  std::uint64_t answer = 0;      // a hash of the response's beginning
  std::uint64_t shape = 0;       // of the request; the same for requests that differ in their literals alone
  std::array<Nanos, 2> round_trip{};  // the least of each leg, by LegName; 0: the kernel did not say
};

// What a session waits for now, since its last event.
struct OpenStretch {
  enum class What : std::uint8_t {
    connecting,
    asked,    // all of a request that has come was passed on, and no byte of the response is here
    blocked,  // bytes were read and not passed on
    quiet,    // a response has begun, or nothing was asked
  };
  MonoTime begin{};
  What what{};
  LegName sink{};  // of blocked bytes
};

// An exchange that is open, or the connection that it waits for, and the stretch of it that lasts.
struct OpenExchange {
  Exchange exchange;  // number 0: the session is not connected yet
  Pause lasting;      // as though it ended now; without what ends it, and perhaps shorter than least_pause
};

// Where what a session's time was spent on goes, in the order of time.
class TimelineReader {
 public:
  virtual ~TimelineReader() = default;
  virtual void on_pause(const Pause& pause) = 0;
  // Have bytes come from the session's server then, in another session? False: nobody knows.
  [[nodiscard]] virtual auto others_heard(MonoTime /*begin*/, MonoTime /*end*/) const -> bool { return false; }
  // Behind its pauses.
  virtual void on_exchange(const Exchange& exchange) = 0;
  // From the last byte of a request that was never answered to the end of the session, in place of its exchange; or
  // from the last byte of the last answer, as a pause in passing it on, since nobody knows whether it arrived. Of the
  // kernel's counters it has `after`, the last that were read.
  virtual void on_unanswered(const Pause& /*pause*/) {}
};

// Makes pauses and exchanges of one session's events. It keeps nothing of the past but the exchange that is open and
// at most two pauses, which wait for what the kernel says behind them: some 2,500 bytes, whatever the session sends;
// and a few looks at its peers' sockets while it is slow.
class SessionTimeline {
 public:
  SessionTimeline(ProxyId proxy, SessionNumber session, MonoTime began, TimelineReader& reader);

  // In the order of the session's times. Kinds that say nothing of time are passed over.
  void on_event(const event::Event& event);

  [[nodiscard]] auto open_stretch() const -> OpenStretch;
  // A look that was made in it, for the pause that comes of it.
  void add_look(const PeerLook& look);
  // The same at Weir's own end of a leg.
  void add_own_look(const PeerLook& look);
  static constexpr std::size_t most_looks = 32;
  // The server's process that the last look found; none: no look of the open stretch did.
  [[nodiscard]] auto seen_process() const -> std::optional<std::uint32_t>;
  // As it is now that the stretch has ended: before the event that ends it.
  void set_process(PeerProcess process) { process_ = process; }
  // Events were missed: what follows is measured anew.
  void forget();
  // What goes on at `now`; none between exchanges. Where an answer ends, turns do not tell: one of which all was passed
  // on, and no more came for answer_ends, is over.
  [[nodiscard]] auto open(MonoTime now) const -> std::optional<OpenExchange>;
  static constexpr Nanos answer_ends = std::chrono::seconds{1};

  // Of the exchange that is open, what somebody has spent of it so far; none: none is, or no byte of a response has
  // come.
  [[nodiscard]] auto open_time() const -> std::optional<Nanos>;

  [[nodiscard]] auto client() const -> const std::optional<Address>& { return client_; }
  [[nodiscard]] auto handle() const -> const std::optional<SessionHandle>& { return handle_; }
  [[nodiscard]] auto upstream() const -> const std::optional<Address>& { return upstream_; }
  [[nodiscard]] auto setup() const -> const SetupWatch& { return setup_; }
  // From accept to both legs connected; 0: not seen, or not reached.
  [[nodiscard]] auto connecting() const -> Nanos { return connecting_; }

 private:
  // One direction's stream.
  struct Stream {
    std::uint64_t message = 0;          // bytes of its message so far
    std::uint64_t piece = 0;            // of these, since the last pause
    std::array<char, cut_text> tail{};  // the message's last bytes that were seen, at the end of the array
    std::size_t seen = 0;               // of these
    std::uint64_t read = 0;             // bytes of the stream that were read, and passed on
    std::uint64_t written = 0;
    Bursts bursts{};
    void begin_message() {
      bursts.most = std::max(bursts.most, piece);
      bursts.begin_message();
      message = piece = seen = 0;
    }
    void add(std::string_view text);
    void skip(std::uint64_t bytes);  // that nobody has seen
    [[nodiscard]] auto last() const -> std::string_view;
  };

  void on_resolved(const event::UpstreamResolved& resolved);
  void on_tried(const event::ConnectTried& tried);
  void on_opened(const event::SessionOpened& opened, MonoTime now);
  void on_read(const event::ChunkRead& chunk, MonoTime now);
  void on_written(const event::ChunkWritten& written, MonoTime now);
  void on_counters(const std::shared_ptr<const event::LegCounters>& counters, MonoTime now);
  void on_half_closed(const event::HalfClosed& closed, MonoTime now);
  void tell_unanswered(MonoTime now);
  void look_at_first(const event::ChunkRead& chunk);
  void fill(Pause& pause, Stream& stream, const event::ChunkRead& chunk);
  void look_at_request(std::string_view text);
  void look_at_answer(const event::ChunkRead& chunk, std::string_view text, MonoTime arrived);
  void look_at(Direction direction, std::string_view text);
  void on_closed(const event::SessionClosed& closed, MonoTime now);

  void begin_exchange(MonoTime now, Nanos gap);
  void end_exchange();
  void describe(Exchange& exchange) const;
  // As spend(), but for what a relay's other connection tells of it. The pause is the last of those it made.
  auto spend_own(Segment segment, Direction direction, MonoTime until) -> Pause*;
  // The time since the last call is this segment's. A pause, if it was long enough: the rest of it is the caller's to
  // fill in, before the next call.
  auto spend(Segment segment, Direction direction, MonoTime until) -> Pause*;
  auto add_pause(Segment segment, Direction direction, MonoTime begin) -> Pause&;
  [[nodiscard]] auto is_same_step(const event::Event& event) const -> bool;
  void give_pauses();
  [[nodiscard]] auto stream(Direction direction) -> Stream& { return streams_.at(index(direction)); }
  [[nodiscard]] auto is_held(Direction direction) const -> bool {
    return streams_.at(index(direction)).read > streams_.at(index(direction)).written;
  }

  ProxyId proxy_;
  SessionNumber session_;
  MonoTime began_;
  MonoTime cursor_;  // until then, all time is somebody's
  TimelineReader& reader_;
  std::optional<Address> client_;
  std::optional<SessionHandle> handle_;
  std::optional<Address> upstream_;
  std::array<Stream, 2> streams_{};
  // The last counters of each leg, by LegName.
  struct LastCounters {
    std::shared_ptr<const event::LegCounters> what;
    MonoTime time{};
    std::uint32_t reads = 0;  // of the leg since
  };
  std::array<LastCounters, 2> counters_{};
  std::array<std::uint32_t, 2> widest_{};          // the largest congestion windows, by LegName
  std::array<LastCounters, 2> counters_before_{};  // those before them; their reads are those until then
  [[nodiscard]] auto evidence_before(LegName leg, MonoTime begin) const -> LegEvidence;
  std::optional<Exchange> exchange_;
  std::uint64_t exchanges_ = 0;
  Nanos last_gap_{};       // before the exchange that is open, and
  Nanos gap_before_{};     // before the one before it
  bool answered_ = false;  // the exchange that is open has bytes of a response
  bool connected_ = false;
  bool is_joined_ = false;  // it was seen from its middle, or anew: its time begins with what comes next
  bool is_whole_ = false;   // its streams were seen from their first bytes on
  bool seen_bytes_ = false;
  Nanos connecting_{};
  ConnectEvidence connect_;
  TlsSession tls_;
  SetupWatch setup_;
  RequestShape shape_;
  std::array<char, 3> request_begins_{};  // with these; 0: not with a request of HTTP or Redis
  static constexpr std::array habitual{Segment::client_sends, Segment::server_answers, Segment::server_sends};
  std::array<Habit, habitual.size()> habits_{};
  [[nodiscard]] auto habit_of(Segment segment) const -> Habit;
  [[nodiscard]] auto others_were_heard(MonoTime begin, Nanos length) const -> bool;
  std::optional<MonoTime> server_finished_;
  Nanos finished_idle_{};
  static constexpr std::size_t most_faults = 64;
  std::vector<std::string> faults_;  // by the time at which they came into force last, those of the latest
  std::vector<Pause> pauses_;        // wait for their counters
  std::vector<PeerLook> looks_;      // of the open stretch
  std::vector<PeerLook> own_looks_;  // of the open stretch
  std::optional<PeerProcess> process_;
  std::shared_ptr<const event::PacketEvidence> packets_;  // of what comes next
};

}  // namespace weir::diagnose
