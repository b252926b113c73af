// Bytes as fast as they go, over N streams, downstream (server to client) or upstream. What arrives
// is really read into memory, as an application would. Counted at the client's socket.
#include <sys/socket.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/result.h"
#include "load.h"
#include "load_json.h"
#include "load_socket.h"
#include "load_watch.h"
#include "load_wire.h"

namespace weir::load {

namespace {

constexpr double nanos = 1e9;
constexpr std::uint64_t default_chunk = 64 * 1024;
constexpr std::uint64_t finish_limit = 10'000'000'000;  // ns for the bytes still under way at the end

struct Settings {
  std::string address;
  std::uint64_t streams = 1;
  bool down = true;
  std::uint64_t bytes = 0;  // per stream; 0: for `duration`
  std::uint64_t chunk = 0;  // of a read or a write, at both ends
  std::uint64_t warmup = 0;
  std::uint64_t duration = 0;
};

struct Stream {
  Fd fd;
  std::uint64_t moved = 0;  // payload bytes read (down) or written (up, header included)
  bool writing = true;      // up: more to send
  bool open = true;
  std::uint64_t confirmed = 0;  // up: the server's count
  std::size_t confirmed_have = 0;
};

class BulkLoad {
 public:
  BulkLoad(Settings settings, const std::vector<std::string>& watched)
      : settings_(std::move(settings)), watch_(watched), buffer_(settings_.chunk) {}

  void run();
  void print() const;

 private:
  void open_streams();
  void turn(std::uint64_t deadline);
  void read(Stream& stream);
  void write(Stream& stream, std::uint64_t word);
  void stop_writing(Stream& stream, std::uint64_t word);
  void finish();
  [[nodiscard]] auto total() const -> std::uint64_t;
  [[nodiscard]] auto any_open() const -> bool {
    return std::any_of(streams_.begin(), streams_.end(), [](const Stream& stream) { return stream.open; });
  }

  Settings settings_;
  Watch watch_;
  Poller poller_;
  std::vector<char> buffer_;
  std::vector<Stream> streams_;
  std::uint64_t window_bytes_ = 0;
  std::uint64_t elapsed_ = 0;
};

void BulkLoad::open_streams() {
  Header header;
  header.wish = settings_.down ? Wish::download : Wish::upload;
  header.bytes = settings_.bytes;
  header.chunk = static_cast<std::uint32_t>(settings_.chunk);
  for (std::uint64_t i = 0; i < settings_.streams; ++i) {
    Stream stream;
    stream.fd = connect_to(settings_.address);
    if (::send(stream.fd.get(), &header, sizeof header, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof header)) {
      throw LoadError("sending the header: short send");
    }
    if (!settings_.down) stream.moved = sizeof header;
    poller_.add(stream.fd, settings_.down ? EPOLLIN : EPOLLOUT, i);
    streams_.push_back(std::move(stream));
  }
}

void BulkLoad::read(Stream& stream) {
  const ssize_t n = ::recv(stream.fd.get(), buffer_.data(), buffer_.size(), 0);
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    throw LoadError(fmt::format("receiving: {}", errno_text(errno)));
  }
  if (n == 0) {
    stream.open = false;
    stream.fd.reset();
  } else if (settings_.down) {
    stream.moved += static_cast<std::uint64_t>(n);
  } else {
    const std::size_t take = std::min(static_cast<std::size_t>(n), sizeof stream.confirmed - stream.confirmed_have);
    std::memcpy(reinterpret_cast<char*>(&stream.confirmed) + stream.confirmed_have, buffer_.data(), take);
    stream.confirmed_have += take;
  }
}

void BulkLoad::write(Stream& stream, std::uint64_t word) {
  std::uint64_t size = settings_.chunk;
  if (settings_.bytes > 0) size = std::min(size, settings_.bytes + sizeof(Header) - stream.moved);
  if (size > 0) {
    const ssize_t n = ::send(stream.fd.get(), payload().data(), size, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) throw LoadError(fmt::format("sending: {}", errno_text(errno)));
    if (n > 0) stream.moved += static_cast<std::uint64_t>(n);
  }
  if (settings_.bytes > 0 && stream.moved == settings_.bytes + sizeof(Header)) stop_writing(stream, word);
}

void BulkLoad::stop_writing(Stream& stream, std::uint64_t word) {
  if (!stream.writing || !stream.open) return;
  stream.writing = false;
  ::shutdown(stream.fd.get(), SHUT_WR);
  poller_.change(stream.fd, EPOLLIN, word);
}

void BulkLoad::turn(std::uint64_t deadline) {
  for (const auto& event : poller_.wait_until(deadline)) {
    Stream& stream = streams_[event.data.u64];
    if (!settings_.down && stream.writing) {
      write(stream, event.data.u64);
    } else {
      read(stream);
    }
  }
}

auto BulkLoad::total() const -> std::uint64_t {
  std::uint64_t sum = 0;
  for (const auto& stream : streams_) sum += stream.moved;
  return sum;
}

// Half-closes every stream and reads what is still under way: down, until the server's end; up,
// until it has confirmed every byte. A lost or added byte is an error, not a result.
void BulkLoad::finish() {
  for (std::size_t i = 0; i < streams_.size(); ++i) stop_writing(streams_[i], i);
  const std::uint64_t give_up = now_nanos() + finish_limit;
  while (any_open() && now_nanos() < give_up) turn(give_up);
  if (any_open()) throw LoadError("a stream did not end within 10 s of its half-close");
  for (const auto& stream : streams_) {
    if (!settings_.down && stream.confirmed != stream.moved) {
      throw LoadError(fmt::format("sent {} bytes, the server got {}", stream.moved, stream.confirmed));
    }
    if (settings_.down && settings_.bytes > 0 && stream.moved != settings_.bytes) {
      throw LoadError(fmt::format("asked for {} bytes, got {}", settings_.bytes, stream.moved));
    }
  }
}

void BulkLoad::run() {
  open_streams();
  if (settings_.bytes == 0) {
    const std::uint64_t warm = now_nanos() + settings_.warmup;
    while (now_nanos() < warm) turn(warm);
  }
  watch_.begin();
  const std::uint64_t before = total();
  const std::uint64_t begin = now_nanos();
  const std::uint64_t end = begin + settings_.duration;
  if (settings_.bytes == 0) {
    while (now_nanos() < end) turn(end);
  } else {
    const std::uint64_t give_up = begin + 120'000'000'000;
    while (any_open() && now_nanos() < give_up) turn(give_up);
  }
  elapsed_ = now_nanos() - begin;
  window_bytes_ = total() - before;
  watch_.end();
  finish();
}

void BulkLoad::print() const {
  const double seconds = static_cast<double>(elapsed_) / nanos;
  Json json;
  json.add("mode", settings_.down ? "bulk-down" : "bulk-up")
      .add("streams", settings_.streams)
      .add("seconds", seconds)
      .add("bytes", window_bytes_)
      .add("gbit_per_s", static_cast<double>(window_bytes_) * 8.0 / seconds / 1e9);
  watch_.add_to(json);
  json.print();
}

}  // namespace

auto run_bulk(Arguments arguments) -> int {
  Settings settings;
  settings.address = arguments.positional("the address to connect to");
  settings.streams = arguments.number("streams", 1, 1, 1000);
  const std::string direction = arguments.text("direction", "down");
  if (direction != "down" && direction != "up") throw UsageError("--direction: expected down or up");
  settings.down = direction == "down";
  settings.bytes = arguments.number("bytes", 0, 1, std::uint64_t{1} << 50U);
  settings.chunk = arguments.number("chunk", default_chunk, 1, max_chunk);
  settings.warmup = static_cast<std::uint64_t>(arguments.real("warmup", 0.2, 0, 60) * nanos);
  settings.duration = static_cast<std::uint64_t>(arguments.real("seconds", 1, 0.01, 600) * nanos);
  const auto watched = arguments.all("watch");
  arguments.finish();
  BulkLoad load(std::move(settings), watched);
  load.run();
  load.print();
  return 0;
}

}  // namespace weir::load
