// An end that speaks records, as a TLS library would: bytes that no edge announces, reads that want a
// write, writes that want a read, a close that does not fit. No cryptography.
//
// On the wire a record is its kind, two bytes of length, and the payload:
//   D data, K key update (must be answered by k before reading on), R reply that a write waits for,
//   C close_notify.
#pragma once

#include <array>
#include <utility>

#include "proxy/scripted_kernel.h"

namespace weir::proxy::scripted {

inline auto tls_record(char kind, std::span<const std::byte> payload = {}) -> std::vector<std::byte> {
  std::vector<std::byte> record{static_cast<std::byte>(kind), static_cast<std::byte>(payload.size() >> 8),
                                static_cast<std::byte>(payload.size() & 0xff)};
  record.insert(record.end(), payload.begin(), payload.end());
  return record;
}

// Our side of the layer over one socket.
class TlsLayer {
 public:
  static constexpr std::size_t header = 3;
  static constexpr std::size_t record_size = 16 * 1024;
  static constexpr std::size_t transport_read = 4 * 1024;

  explicit TlsLayer(Socket& socket) : socket_(socket) {}

  // The next write waits until the peer's R record was read.
  void write_needs_reply() { needs_reply_ = true; }

  // At most one record at a time, as SSL_read(): a short read says nothing.
  auto read(std::span<std::byte> into) -> ReadResult {
    // What either waited for may have been inside: both are tried afresh.
    read_want_ = Want::readable;
    write_want_ = Want::writable;
    while (true) {
      if (plain_.size() > 0) return {{.bytes = plain_.pop(into)}, socket_.stamp};
      if (owes_answer_) {
        const IoResult sent = flush();
        if (sent.status == IoStatus::would_block) read_want_ = Want::writable;
        if (sent.status == IoStatus::would_block) return {sent};
        owes_answer_ = false;  // a peer that is gone needs none, and what it sent before is still there
      }
      if (closed_) return {{.status = IoStatus::end}};
      if (take_record()) continue;
      if (const ReadResult filled = fill(); filled.status != IoStatus::ok) return filled;
    }
  }

  // Takes a record's bytes only when all of it has left, as SSL_write(); goes on to the next until
  // the socket takes no more.
  auto write(std::span<const std::byte> from) -> IoResult {
    write_want_ = Want::writable;
    while (needs_reply_ && !closed_) {
      if (take_record()) continue;
      const ReadResult filled = fill();
      if (filled.status == IoStatus::would_block) write_want_ = Want::readable;
      if (filled.status == IoStatus::end) return {.status = IoStatus::broken, .error = EPIPE};
      if (filled.status != IoStatus::ok) return filled;
    }
    std::size_t done = 0;
    while (done < from.size()) {
      if (in_flight_ == 0) {
        in_flight_ = std::min(record_size, from.size() - done);
        out_.push(tls_record('D', from.subspan(done, in_flight_)));
      }
      require(from.size() - done >= in_flight_, "a write that is tried again must offer the same bytes");
      const IoResult sent = flush();
      if (sent.status == IoStatus::broken) return {sent.status, sent.error, done};
      if (sent.status == IoStatus::would_block) break;
      done += std::exchange(in_flight_, 0);
    }
    if (done == 0) return {.status = IoStatus::would_block};
    return {.bytes = done};
  }

  auto close_write() -> IoResult {
    require(in_flight_ == 0, "close_notify inside a record");
    write_want_ = Want::writable;
    if (!std::exchange(notified_, true)) out_.push(tls_record('C'));
    if (const IoResult sent = flush(); sent.status != IoStatus::ok) return sent;
    return socket_.close_write();
  }

  // The peer's close_notify was read, or its FIN.
  [[nodiscard]] auto has_ended() const -> bool { return closed_ || ended_; }
  [[nodiscard]] auto buffered() const -> bool { return plain_.size() > 0 || (!owes_answer_ && has_record()); }
  [[nodiscard]] auto read_want() const -> Want { return read_want_; }
  [[nodiscard]] auto write_want() const -> Want { return write_want_; }
  [[nodiscard]] auto socket() const -> Socket& { return socket_; }

 private:
  [[nodiscard]] auto payload_size() const -> std::size_t {
    return (static_cast<std::size_t>(in_[1]) << 8) | static_cast<std::size_t>(in_[2]);
  }
  [[nodiscard]] auto has_record() const -> bool {
    return in_.size() >= header && in_.size() >= header + payload_size();
  }
  auto take_record() -> bool {
    if (!has_record()) return false;
    const std::size_t size = header + payload_size();
    switch (static_cast<char>(in_[0])) {
      case 'D': plain_.push(std::span(in_).subspan(header, size - header)); break;
      case 'K': owe_answer(); break;
      case 'R': needs_reply_ = false; break;
      case 'C': closed_ = true; break;
      default: throw Violation("the stream of records is broken");
    }
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(size));
    return true;
  }
  void owe_answer() {
    if (notified_) return;  // after our close_notify nothing more is sent
    out_.push(tls_record('k'));
    owes_answer_ = true;
  }
  auto fill() -> ReadResult {
    std::array<std::byte, transport_read> buffer;
    const ReadResult got = socket_.read(buffer);
    ended_ |= got.status == IoStatus::end;
    in_.insert(in_.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got.bytes));
    return got;
  }
  auto flush() -> IoResult {
    while (out_.size() > 0) {
      const IoResult sent = socket_.write(out_.front());
      if (sent.status != IoStatus::ok) return sent;
      out_.drop(sent.bytes);
    }
    return {};
  }

  Socket& socket_;
  std::vector<std::byte> in_;  // read from the socket, not a whole record yet or not looked at
  ByteQueue plain_;            // of the record under way
  ByteQueue out_;              // records on their way to the socket
  std::size_t in_flight_ = 0;  // payload of the record under way that no write has been told of
  Want read_want_ = Want::readable;
  Want write_want_ = Want::writable;
  bool owes_answer_ = false;
  bool needs_reply_ = false;
  bool closed_ = false;
  bool ended_ = false;
  bool notified_ = false;
};

class FakeTlsEnd {
 public:
  using Pipe = ScriptedPipe;
  FakeTlsEnd() = default;
  explicit FakeTlsEnd(TlsLayer& layer) : layer_(&layer) {}

  auto read(std::span<std::byte> into) -> ReadResult { return layer_->read(into); }
  auto write(std::span<const std::byte> from) -> IoResult { return layer_->write(from); }
  [[nodiscard]] auto buffered() const -> bool { return layer_->buffered(); }
  [[nodiscard]] auto read_want() const -> Want { return layer_->read_want(); }
  [[nodiscard]] auto write_want() const -> Want { return layer_->write_want(); }
  auto close_write() -> IoResult { return layer_->close_write(); }
  [[nodiscard]] auto unsent() const -> std::size_t { return layer_->socket().unsent(); }
  [[nodiscard]] auto dead() const -> bool { return layer_->socket().dead(); }
  void take_stamps(const StampWishes&, std::uint64_t) {}  // it counts bytes of the stream, the kernel those of records
  auto drain_notices(TransmitStamps& stamps) -> std::size_t { return layer_->socket().drain_notices(stamps); }
  [[nodiscard]] auto counters() const -> std::optional<event::LegCounters> { return layer_->socket().counters(); }
  void close() { layer_->socket().close(); }
  void reset() { layer_->socket().reset(); }
  [[nodiscard]] auto can_splice() const -> bool { return false; }
  auto splice_in(Pipe&, std::size_t) -> IoResult { throw Violation("a splice of records"); }
  auto splice_out(Pipe&) -> IoResult { throw Violation("a splice of records"); }

 private:
  TlsLayer* layer_ = nullptr;
};

static_assert(Endpoint<FakeTlsEnd>);

// The peer's side: what it sends and got, in plain bytes.
class TlsPeer {
 public:
  explicit TlsPeer(Socket& socket) : socket_(socket) {}
  void sends(std::span<const std::byte> plain) {
    if (socket_.sent_fin() || socket_.is_dead()) return;
    sent_.insert(sent_.end(), plain.begin(), plain.end());
    while (!plain.empty()) {
      const std::size_t n = std::min(plain.size(), TlsLayer::record_size);
      put(tls_record('D', plain.first(n)));
      plain = plain.subspan(n);
    }
  }
  void sends(std::string_view text) { sends(bytes_of(text)); }
  void sends_bulk(std::size_t n) { sends(pattern(sent_.size(), n)); }
  void sends_key_update() { put(tls_record('K')); }
  void sends_reply() { put(tls_record('R')); }
  void sends_close_notify() { put(tls_record('C')); }

  [[nodiscard]] auto sent() const -> const std::vector<std::byte>& { return sent_; }
  [[nodiscard]] auto received() -> const std::vector<std::byte>& {
    look();
    return received_;
  }
  [[nodiscard]] auto got() -> std::string {
    return {reinterpret_cast<const char*>(received().data()), received().size()};
  }
  [[nodiscard]] auto answers() -> unsigned {
    look();
    return answers_;
  }
  [[nodiscard]] auto saw_close_notify() -> bool {
    look();
    return saw_close_notify_;
  }

 private:
  void look() {
    const auto& wire = socket_.received();
    while (wire.size() - at_ >= TlsLayer::header) {
      const std::size_t size = (static_cast<std::size_t>(wire[at_ + 1]) << 8) | static_cast<std::size_t>(wire[at_ + 2]);
      if (wire.size() - at_ - TlsLayer::header < size) break;
      const auto payload = std::span(wire).subspan(at_ + TlsLayer::header, size);
      const char kind = static_cast<char>(wire[at_]);
      if (kind == 'D') received_.insert(received_.end(), payload.begin(), payload.end());
      if (kind == 'k') ++answers_;
      if (kind == 'C') saw_close_notify_ = true;
      at_ += TlsLayer::header + size;
    }
  }
  void put(const std::vector<std::byte>& record) {
    socket_.sends({reinterpret_cast<const char*>(record.data()), record.size()});
  }
  Socket& socket_;
  std::vector<std::byte> sent_, received_;
  std::size_t at_ = 0;
  unsigned answers_ = 0;
  bool saw_close_notify_ = false;
};

}  // namespace weir::proxy::scripted
