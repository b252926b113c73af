// PostgreSQL queries of an exact size, one after the other, over one connection: the simple query
// protocol (PostgreSQL 15 documentation, 55.2.2 and 55.7), trust authentication, no TLS. One query
// is one write, so that any stall is the relay's or the server's doing, not the client's.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/result.h"
#include "load.h"
#include "load_histogram.h"
#include "load_json.h"
#include "load_socket.h"
#include "load_watch.h"

namespace weir::load {

namespace {

auto big_endian(std::uint32_t value) -> std::string {
  return {static_cast<char>(value >> 24U), static_cast<char>(value >> 16U), static_cast<char>(value >> 8U),
          static_cast<char>(value)};
}

// Blocking on purpose: one connection, one query at a time, two system calls a query.
class Postgres {
 public:
  explicit Postgres(const std::string& address) : fd_(connect_to(address)) {
    ::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) & ~O_NONBLOCK);
  }

  void start(const std::string& user, const std::string& database) {
    std::string body = big_endian(196608);  // protocol 3.0
    for (const auto& word : {std::string("user"), user, std::string("database"), database}) body += word + '\0';
    body += '\0';
    send_all(big_endian(static_cast<std::uint32_t>(body.size() + 4)) + body);
    wait_ready();
  }

  void query(const std::string& message) {
    send_all(message);
    wait_ready();
  }

 private:
  void send_all(const std::string& message) {
    if (::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(message.size())) {
      throw LoadError(fmt::format("sending to PostgreSQL: {}", errno_text(errno)));
    }
  }

  // Reads messages (type, length, body) until ReadyForQuery; an error or a wish for a password ends the load.
  void wait_ready() {
    for (;;) {
      while (buffered_.size() >= 5) {
        const std::size_t size = 1 + length();
        if (buffered_.size() < size) break;
        const char type = buffered_[0];
        if (type == 'E')
          throw LoadError("PostgreSQL answered with an error: " + readable(buffered_.substr(5, size - 5)));
        if (type == 'R' && buffered_.substr(5, 4) != big_endian(0)) throw LoadError("PostgreSQL wants a password");
        buffered_.erase(0, size);
        if (type == 'Z') return;
      }
      std::array<char, 8192> bytes;
      const ssize_t n = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) throw LoadError("PostgreSQL closed the connection");
      buffered_.append(bytes.data(), static_cast<std::size_t>(n));
    }
  }

  [[nodiscard]] auto length() const -> std::uint32_t {
    std::uint32_t value = 0;
    for (std::size_t i = 1; i < 5; ++i) value = value << 8U | static_cast<unsigned char>(buffered_[i]);
    return value;
  }

  static auto readable(std::string text) -> std::string {
    for (char& c : text) {
      if (c == '\0') c = ' ';
    }
    return text;
  }

  Fd fd_;
  std::string buffered_;
};

// A Query message of exactly `size` bytes: 'Q', length, text, zero.
auto query_of(std::uint32_t size) -> std::string {
  std::string text = "SELECT 1 /*";
  text.append(size - 6 - text.size() - 2, '.');
  text += "*/";
  return 'Q' + big_endian(size - 1) + text + '\0';
}

}  // namespace

auto run_pg(Arguments arguments) -> int {
  const std::string address = arguments.positional("the address to connect to");
  const std::string user = arguments.text("user", "weir");
  const std::string database = arguments.text("database", "postgres");
  const auto queries = arguments.number("queries", 1000, 1, 10'000'000);
  const auto warmup = arguments.number("warmup-queries", 20, 0, 1'000'000);
  const auto size = static_cast<std::uint32_t>(arguments.number("query", 296, 32, 65536));
  Watch watch(arguments.all("watch"));
  arguments.finish();

  Postgres postgres(address);
  postgres.start(user, database);
  const std::string query = query_of(size);
  for (std::uint64_t i = 0; i < warmup; ++i) postgres.query(query);
  Histogram histogram;
  watch.begin();
  const std::uint64_t begin = now_nanos();
  std::uint64_t last = begin;
  for (std::uint64_t i = 0; i < queries; ++i) {
    postgres.query(query);
    const std::uint64_t now = now_nanos();
    histogram.record(now - last);
    last = now;
  }
  watch.end();
  const double seconds = static_cast<double>(last - begin) / 1e9;
  Json json;
  json.add("mode", "pg")
      .add("query_size", std::uint64_t{query.size()})
      .add("seconds", seconds)
      .add("requests", queries)
      .add("rate", static_cast<double>(queries) / seconds)
      .add_latency(histogram);
  watch.add_to(json);
  json.print();
  return 0;
}

}  // namespace weir::load
