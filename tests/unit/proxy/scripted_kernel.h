// A scripted kernel: sockets whose peers do what a test says, with the manners of Linux's TCP that
// a relay can trip over. No descriptor, no thread, no clock.
//
//   Socket        our end of a connection inside the kernel, and the peer at its other end
//   ScriptedPipe  a pipe that runs out of slots long before it runs out of bytes
//   ScriptedEnd   the Endpoint over both
//
// Edges come exactly as an edge-triggered epoll would give them: only after something happened, one
// for all that happened since the last, with the state as it is when it is taken. Who clears a hint
// too early waits forever here, as there.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/endpoint.h"
#include "proxy/relay.h"

namespace weir::proxy::scripted {

// Something that must never happen did.
struct Violation : std::logic_error {
  using std::logic_error::logic_error;
};

inline void require(bool holds, const char* rule) {
  if (!holds) throw Violation(rule);
}

inline auto bytes_of(std::string_view text) -> std::span<const std::byte> { return std::as_bytes(std::span(text)); }

// Bytes in which every offset looks different from its neighbours and from those a block away: the
// period is a prime, so that a lost, doubled or moved piece shows.
inline auto pattern(std::uint64_t offset, std::size_t n) -> std::vector<std::byte> {
  static constexpr std::size_t period = 65521;
  static const std::vector<std::byte> table = [] {
    std::vector<std::byte> filled(period);
    std::uint32_t x = 1;
    for (std::byte& b : filled) b = static_cast<std::byte>((x = x * 1664525 + 1013904223) >> 24);
    return filled;
  }();
  std::vector<std::byte> bytes(n);
  for (std::size_t done = 0; done < n;) {
    const std::size_t at = (offset + done) % period;
    const std::size_t part = std::min(period - at, n - done);
    std::memcpy(bytes.data() + done, table.data() + at, part);
    done += part;
  }
  return bytes;
}

// First in, first out.
class ByteQueue {
 public:
  void push(std::span<const std::byte> bytes) {
    if (head_ == bytes_.size()) clear();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  auto pop(std::span<std::byte> into) -> std::size_t {
    const std::size_t n = std::min(into.size(), size());
    if (n > 0) std::memcpy(into.data(), bytes_.data() + head_, n);
    head_ += n;
    return n;
  }
  // Moves the oldest n to the end of another queue or vector.
  template <class To>
  void move_to(To& to, std::size_t n) {
    const auto part = std::span<const std::byte>(bytes_).subspan(head_, n);
    if constexpr (requires { to.push(part); }) {
      to.push(part);
    } else {
      to.insert(to.end(), part.begin(), part.end());
    }
    head_ += n;
  }
  [[nodiscard]] auto front() const -> std::span<const std::byte> {
    return std::span<const std::byte>(bytes_).subspan(head_);
  }
  void drop(std::size_t n) { head_ += n; }
  void clear() { bytes_.clear(), head_ = 0; }
  [[nodiscard]] auto size() const -> std::size_t { return bytes_.size() - head_; }

 private:
  std::vector<std::byte> bytes_;
  std::size_t head_ = 0;
};

// What a test arranges for all pipes; World's constructor puts the defaults back.
struct PipeRules {
  int to_be_had = 1'000'000;            // create() fails when it reaches 0
  std::size_t slots = 16;               // of a pipe
  std::size_t segment = 64 * 1024;      // what a slot holds; 1448 where packets are not merged
  std::size_t most_per_move_out = ~0U;  // a partial move that has filled nothing
};

class ScriptedPipe {
 public:
  inline static PipeRules rules;
  inline static int made = 0;
  inline static int alive = 0;

  static auto create() -> std::unique_ptr<ScriptedPipe> {
    if (rules.to_be_had == 0) return nullptr;
    --rules.to_be_had;
    return std::make_unique<ScriptedPipe>();
  }
  ScriptedPipe() { ++made, ++alive; }
  ~ScriptedPipe() { --alive; }
  ScriptedPipe(const ScriptedPipe&) = delete;
  auto operator=(const ScriptedPipe&) -> ScriptedPipe& = delete;
  [[nodiscard]] auto bytes() const -> std::size_t { return content_.size(); }

 private:
  friend class Socket;
  [[nodiscard]] auto free_slots() const -> std::size_t { return rules.slots - std::min(rules.slots, segments_.size()); }
  void took_in(std::size_t n) {
    for (; n > 0; n -= segments_.back()) segments_.push_back(std::min(n, rules.segment));
  }
  void gave_out(std::size_t n) {
    while (n > 0) {
      const std::size_t part = std::min(n, segments_.front());
      segments_.front() -= part;
      if (segments_.front() == 0) segments_.pop_front();
      n -= part;
    }
  }
  ByteQueue content_;
  std::deque<std::size_t> segments_;
};

// How often each call was made, and with what.
struct Calls {
  std::vector<std::size_t> read_sizes;  // what each read asked for
  unsigned reads_of_nothing = 0;        // that would block
  unsigned writes = 0;
  unsigned splices_in = 0;
  unsigned splices_out = 0;
  unsigned close_writes = 0;
  unsigned counters_asked = 0;
  unsigned notices_drained = 0;
  unsigned unsent_asked = 0;
};

class Socket {
 public:
  // ---- what the peer does ----
  void sends(std::string_view text) { arrive(bytes_of(text)); }
  void sends_bulk(std::size_t n) { arrive(pattern(sent_.size(), n)); }
  // One byte of urgent data (MSG_OOB), which SO_OOBINLINE leaves in the stream behind a mark.
  void sends_urgent(char byte) {
    urgent_at_ = arrived_;
    arrive(bytes_of(std::string_view(&byte, 1)));
  }
  void sends_fin() {
    if (dead_ || peer_fin_) return;
    peer_fin_ = true;
    wake();
  }
  // RST came; or, with another error, the kernel gave the connection up (ETIMEDOUT, EHOSTUNREACH).
  void resets(int error = ECONNRESET) {
    if (dead_ || our_end_ == OurEnd::reset) return;
    dead_ = true;
    error_ = peer_fin_ && error == ECONNRESET ? EPIPE : error;  // tcp_reset() in CLOSE_WAIT
    outbox_.clear();
    wake();
  }
  // Takes (and acknowledges) what we sent: all as it comes, unless told to stop.
  void stops_reading() { reading_ = false; }
  void reads_on() {
    reading_ = true;
    network();
  }
  void takes(std::size_t n) {
    n = std::min(n, outbox_.size());
    outbox_.move_to(received_, n);
    unsent_ -= n;
    if (n > 0) stamp_by_itself(stamps_wanted.acknowledged, TransmitStamp::What::acknowledged, written_ - unsent_);
    if (no_space_ && writable()) {  // sk_stream_write_space(): an edge only for who ran out of space
      no_space_ = false;
      wake();
    }
    see_fin();
  }
  // Time passes on the wire.
  void network() {
    if (reading_ && outbox_.size() > 0) takes(outbox_.size());
  }

  // ---- what the peer saw ----
  [[nodiscard]] auto received() const -> const std::vector<std::byte>& { return received_; }
  [[nodiscard]] auto got() const -> std::string {
    return {reinterpret_cast<const char*>(received_.data()), received_.size()};
  }
  [[nodiscard]] auto sent() const -> const std::vector<std::byte>& { return sent_; }
  [[nodiscard]] auto saw_fin() const -> bool { return saw_fin_; }
  [[nodiscard]] auto saw_reset() const -> bool { return saw_reset_; }
  [[nodiscard]] auto sent_fin() const -> bool { return peer_fin_; }
  [[nodiscard]] auto is_dead() const -> bool { return dead_; }

  // ---- what a test arranges and looks at ----
  std::size_t send_buffer = 256 * 1024;
  bool splices = true;                  // can_splice()
  std::deque<int> fail_reads;           // errors of the next reads (and splices in), which change nothing else
  std::deque<int> fail_writes;          // and of the next writes
  std::optional<WallTime> stamp;        // the kernel time of the next reads
  std::deque<bool> close_write_waits;   // true: the next close_write would block
  bool notice = false;                  // in the error queue: raises the error flag
  StampWishes stamps_wanted;            // as it was last asked for,
  std::uint64_t stamps_count_from = 0;  // and from which byte of the stream
  bool has_counters = true;
  bool stamps_by_itself = false;  // every write and every acknowledgement, as asked for
  Calls calls;
  std::function<void()> before_read;  // called first by every read and move in
  std::function<void()> before_fin;   // and by every close_write that sends FIN
  void spurious_edge() { edge_ = true; }
  void raise_notice() { notice = true, wake(); }
  // The kernel stamps what was written up to `end`: the error queue has it, and raises the error flag.
  void stamps(TransmitStamp::What what, std::uint64_t end, WallTime when) {
    stamps_.push_back({.time = when, .end_offset = end, .what = what});
    raise_notice();
  }
  [[nodiscard]] auto stamps_left() const -> std::size_t { return stamps_.size(); }
  [[nodiscard]] auto unread() const -> std::size_t { return inbox_.size(); }
  [[nodiscard]] auto is_open() const -> bool { return our_end_ == OurEnd::open; }
  [[nodiscard]] auto was_reset_by_us() const -> bool { return asked_for_reset_; }
  [[nodiscard]] auto fin_passed() const -> bool { return our_fin_; }
  [[nodiscard]] auto bytes_read() const -> std::uint64_t { return read_; }
  [[nodiscard]] auto bytes_written() const -> std::uint64_t { return written_; }
  [[nodiscard]] auto discarded() const -> std::size_t { return discarded_; }
  [[nodiscard]] auto has_edge() const -> bool { return edge_ && is_open(); }

  // ---- epoll: the edge that is due, if any ----
  [[nodiscard]] auto take_edge() -> std::optional<Readiness> {
    if (!has_edge()) return std::nullopt;
    edge_ = false;
    const Readiness news{.readable = inbox_.size() > 0 || peer_fin_ || dead_,
                         .writable = dead_ || writable(),
                         .hang_up = peer_fin_ || dead_,
                         .urgent = urgent_at_ >= read_ && urgent_at_ != no_mark,
                         .notice = error_ != 0 || notice};
    // ep_send_events() looks again, and drops an event of which nothing is left.
    if (!news.readable && !news.writable && !news.notice) return std::nullopt;
    return news;
  }

  // ---- the system calls ----
  auto read(std::span<std::byte> into) -> ReadResult {
    require_open();
    calls.read_sizes.push_back(into.size());
    if (before_read) before_read();
    require(!into.empty(), "a read of no bytes: 0 would look like FIN");
    if (const auto error = take(fail_reads)) return {{.status = IoStatus::broken, .error = *error}};
    const std::size_t n = std::min(into.size(), before_mark(true));
    if (n == 0) return {nothing_to_read()};
    inbox_.pop(into.first(n));
    read_ += n;
    return {{.bytes = n}, stamp};
  }

  auto write(std::span<const std::byte> from) -> IoResult {
    require_open();
    ++calls.writes;
    require(!from.empty(), "a write of no bytes");
    require(!our_fin_, "a write after our FIN");
    if (const auto error = take(fail_writes)) return {.status = IoStatus::broken, .error = *error};
    if (dead_) return consume_error();
    const std::size_t n = accept(from);
    if (n < from.size()) no_space_ = true;
    if (n == 0) return {.status = IoStatus::would_block};
    return {.bytes = n};
  }

  auto close_write() -> IoResult {
    require_open();
    ++calls.close_writes;
    require(!our_fin_, "FIN twice");
    if (!close_write_waits.empty()) {
      const bool waits = close_write_waits.front();
      close_write_waits.pop_front();
      if (waits) return {.status = IoStatus::would_block};
    }
    if (const auto error = take(fail_writes)) return {.status = IoStatus::broken, .error = *error};
    if (before_fin) before_fin();
    if (dead_) return {};  // ENOTCONN, which consumes nothing: the next read tells
    our_fin_ = true;
    see_fin();
    return {};
  }

  auto splice_in(ScriptedPipe& pipe, std::size_t most) -> IoResult {
    require_open();
    ++calls.splices_in;
    if (before_read) before_read();
    if (const auto error = take(fail_reads)) return {.status = IoStatus::broken, .error = *error};
    const std::size_t room = pipe.free_slots() * ScriptedPipe::rules.segment;
    if (room == 0) return {.status = IoStatus::would_block};  // the pipe is full, whatever the socket holds
    // Never passes an urgent mark, not even one at the front: EAGAIN for ever (seen on Linux 6.18).
    const std::size_t n = std::min({most, room, before_mark(false)});
    if (n == 0) return inbox_.size() > 0 ? IoResult{.status = IoStatus::would_block} : nothing_to_read();
    inbox_.move_to(pipe.content_, n);
    pipe.took_in(n);
    read_ += n;
    return {.bytes = n};
  }

  auto splice_out(ScriptedPipe& pipe) -> IoResult {
    require_open();
    ++calls.splices_out;
    require(pipe.bytes() > 0, "a splice out of an empty pipe");
    require(!our_fin_, "a splice after our FIN");
    if (const auto error = take(fail_writes)) return {.status = IoStatus::broken, .error = *error};
    if (dead_) return consume_error();
    const std::size_t n = std::min({pipe.bytes(), free_space(), ScriptedPipe::rules.most_per_move_out});
    if (n == 0) {
      no_space_ = true;  // only a move that found no room at all waits for it
      return {.status = IoStatus::would_block};
    }
    pipe.content_.move_to(outbox_, n);
    pipe.gave_out(n);
    unsent_ += n;
    written_ += n;
    stamp_by_itself(stamps_wanted.sent, TransmitStamp::What::sent, written_);
    return {.bytes = n};
  }

  [[nodiscard]] auto unsent() const -> std::size_t { return unsent_; }
  // TCP_INFO says TCP_CLOSE after a reset, and after both FINs too.
  [[nodiscard]] auto dead() const -> bool { return dead_ || (our_fin_ && peer_fin_ && outbox_.size() == 0); }
  void take_stamps(const StampWishes& wishes, std::uint64_t written) {
    require_open();
    require(written == written_, "stamps count from another byte than the next");
    stamps_wanted = wishes;
    stamps_count_from = written;
  }
  auto drain_notices(TransmitStamps& into) -> std::size_t {
    require_open();
    ++calls.notices_drained;
    std::size_t n = 0;
    for (; n < into.size() && !stamps_.empty(); ++n) {
      into[n] = stamps_.front();
      stamps_.pop_front();
    }
    notice = !stamps_.empty();
    if (notice) wake();  // sock_dequeue_err_skb(): what is left is announced again
    return n;
  }
  [[nodiscard]] auto counters() -> std::optional<event::LegCounters> {
    require_open();
    ++calls.counters_asked;
    if (!has_counters) return std::nullopt;
    event::LegCounters counters;
    counters.bytes_received = arrived_;
    return counters;
  }
  void close() {
    require_open();
    our_end_ = OurEnd::closed;
    if (inbox_.size() > 0 && !dead_) return abort();  // unread bytes turn a close into RST
    our_fin_ = true;
    see_fin();
  }
  void reset() {
    require_open();
    asked_for_reset_ = true;
    abort();
  }

 private:
  enum class OurEnd : std::uint8_t { open, closed, reset };
  static constexpr std::uint64_t no_mark = ~std::uint64_t{0};

  void require_open() const { require(is_open(), "a call on an end that was closed"); }
  void wake() { edge_ = true; }
  void arrive(std::span<const std::byte> bytes) {
    if (dead_ || peer_fin_ || bytes.empty()) return;
    sent_.insert(sent_.end(), bytes.begin(), bytes.end());
    arrived_ += bytes.size();
    if (!is_open()) return resets();  // nobody is there
    inbox_.push(bytes);
    wake();
  }
  // What one call can take: up to the mark. Only a read that starts at the mark passes it.
  [[nodiscard]] auto before_mark(bool passes_from_mark) const -> std::size_t {
    if (urgent_at_ == no_mark || urgent_at_ < read_) return inbox_.size();
    if (urgent_at_ == read_ && passes_from_mark) return inbox_.size();
    return std::min<std::size_t>(inbox_.size(), urgent_at_ - read_);
  }
  auto nothing_to_read() -> IoResult {
    if (peer_fin_) return {.status = IoStatus::end};
    if (dead_) return error_ != 0 ? consume_error() : IoResult{.status = IoStatus::end};
    ++calls.reads_of_nothing;
    return {.status = IoStatus::would_block};
  }
  // The error is told once, to whichever call comes first.
  auto consume_error() -> IoResult {
    const int error = std::exchange(error_, 0);
    return {.status = IoStatus::broken, .error = error != 0 ? error : EPIPE};
  }
  static auto take(std::deque<int>& errors) -> std::optional<int> {
    if (errors.empty()) return std::nullopt;
    const int error = errors.front();
    errors.pop_front();
    return error;
  }
  [[nodiscard]] auto free_space() const -> std::size_t { return send_buffer - std::min(send_buffer, outbox_.size()); }
  [[nodiscard]] auto writable() const -> bool { return free_space() >= outbox_.size() / 2 && free_space() > 0; }
  auto accept(std::span<const std::byte> from) -> std::size_t {
    const std::size_t n = std::min(from.size(), free_space());
    outbox_.push(from.first(n));
    unsent_ += n;
    written_ += n;
    if (n > 0) stamp_by_itself(stamps_wanted.sent, TransmitStamp::What::sent, written_);
    return n;
  }
  void stamp_by_itself(bool wanted, TransmitStamp::What what, std::uint64_t end) {
    if (stamps_by_itself && wanted) stamps(what, end, WallTime{});
  }
  void see_fin() {
    if (our_fin_ && outbox_.size() == 0 && !dead_ && our_end_ != OurEnd::reset) saw_fin_ = true;
  }
  void abort() {
    our_end_ = OurEnd::reset;
    discarded_ = outbox_.size();
    outbox_.clear();
    if (!dead_ && !(saw_fin_ && peer_fin_)) saw_reset_ = true;  // else there is nothing left to reset
  }

  ByteQueue inbox_;                         // arrived, not read by us
  ByteQueue outbox_;                        // written by us, not taken by the peer
  std::vector<std::byte> sent_, received_;  // by the peer
  std::deque<TransmitStamp> stamps_;        // in the error queue
  std::uint64_t arrived_ = 0, read_ = 0, written_ = 0;
  std::uint64_t urgent_at_ = no_mark;
  std::size_t unsent_ = 0;
  std::size_t discarded_ = 0;
  int error_ = 0;  // sk_err
  bool dead_ = false;
  bool peer_fin_ = false;
  bool our_fin_ = false;
  bool saw_fin_ = false;
  bool saw_reset_ = false;
  bool reading_ = true;
  bool no_space_ = false;
  bool edge_ = false;
  bool asked_for_reset_ = false;
  OurEnd our_end_ = OurEnd::open;
};

// The Endpoint over a scripted socket.
class ScriptedEnd {
 public:
  using Pipe = ScriptedPipe;
  ScriptedEnd() = default;
  explicit ScriptedEnd(Socket& socket) : socket_(&socket) {}

  auto read(std::span<std::byte> into) -> ReadResult { return socket_->read(into); }
  auto write(std::span<const std::byte> from) -> IoResult { return socket_->write(from); }
  [[nodiscard]] auto buffered() const -> bool { return false; }
  [[nodiscard]] auto read_want() const -> Want { return Want::readable; }
  [[nodiscard]] auto write_want() const -> Want { return Want::writable; }
  auto close_write() -> IoResult { return socket_->close_write(); }
  [[nodiscard]] auto unsent() const -> std::size_t {
    ++socket_->calls.unsent_asked;
    return socket_->unsent();
  }
  [[nodiscard]] auto dead() const -> bool { return socket_->dead(); }
  void take_stamps(const StampWishes& wishes, std::uint64_t written) { socket_->take_stamps(wishes, written); }
  auto drain_notices(TransmitStamps& stamps) -> std::size_t { return socket_->drain_notices(stamps); }
  [[nodiscard]] auto counters() const -> std::optional<event::LegCounters> { return socket_->counters(); }
  void close() { socket_->close(); }
  void reset() { socket_->reset(); }
  [[nodiscard]] auto can_splice() const -> bool { return socket_->splices; }
  auto splice_in(Pipe& pipe, std::size_t most) -> IoResult { return socket_->splice_in(pipe, most); }
  auto splice_out(Pipe& pipe) -> IoResult { return socket_->splice_out(pipe); }

 private:
  Socket* socket_ = nullptr;
};

static_assert(Endpoint<ScriptedEnd>);

}  // namespace weir::proxy::scripted
