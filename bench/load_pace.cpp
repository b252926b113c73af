// When bytes arrive: N downstream streams are read as fast as they come, and every arrival is printed
// with its time, for bench/run to judge a cap's evenness by.
#include <sys/socket.h>

#include <fmt/format.h>

#include <cerrno>
#include <vector>

#include "base/result.h"
#include "load.h"
#include "load_json.h"
#include "load_socket.h"
#include "load_wire.h"

namespace weir::load {

namespace {

// Reads of a stream that follow each other more closely are printed as one arrival.
constexpr std::uint64_t merged_within = 200'000;  // ns
constexpr std::uint32_t read_size = 64 * 1024;

struct Arrival {
  std::uint64_t stream;
  std::uint64_t at;  // ns since the first stream asked for its bytes
  std::uint64_t bytes;
};

auto open_streams(const std::string& address, std::uint64_t count, Poller& poller) -> std::vector<Fd> {
  Header header;
  header.wish = Wish::download;
  header.chunk = read_size;
  std::vector<Fd> streams;
  for (std::uint64_t i = 0; i < count; ++i) {
    streams.push_back(connect_to(address));
    poller.add(streams.back(), EPOLLIN, i);
  }
  for (const Fd& stream : streams) {
    if (::send(stream.get(), &header, sizeof header, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof header)) {
      throw LoadError("sending the header: short send");
    }
  }
  return streams;
}

auto read_for(std::uint64_t duration, const std::vector<Fd>& streams, Poller& poller) -> std::vector<Arrival> {
  std::vector<char> buffer(read_size);
  std::vector<Arrival> arrivals;
  std::vector<std::size_t> last(streams.size(), ~std::size_t{0});  // each stream's, in arrivals
  const std::uint64_t begin = now_nanos();
  while (now_nanos() < begin + duration) {
    for (const auto& event : poller.wait_until(begin + duration)) {
      const std::uint64_t stream = event.data.u64;
      const ssize_t n = ::recv(streams[stream].get(), buffer.data(), buffer.size(), 0);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n <= 0) throw LoadError(n == 0 ? "a stream ended" : fmt::format("receiving: {}", errno_text(errno)));
      const std::uint64_t at = now_nanos() - begin;
      if (last[stream] != ~std::size_t{0} && at - arrivals[last[stream]].at < merged_within) {
        arrivals[last[stream]].bytes += static_cast<std::uint64_t>(n);
        continue;
      }
      last[stream] = arrivals.size();
      arrivals.push_back({stream, at, static_cast<std::uint64_t>(n)});
    }
  }
  return arrivals;
}

}  // namespace

auto run_pace(Arguments arguments) -> int {
  const std::string address = arguments.positional("the address to connect to");
  const auto streams = arguments.number("streams", 1, 1, 1000);
  const auto duration = static_cast<std::uint64_t>(arguments.real("seconds", 4, 0.01, 600) * 1e9);
  arguments.finish();
  Poller poller;
  const auto open = open_streams(address, streams, poller);
  const auto arrivals = read_for(duration, open, poller);
  std::string rows;
  for (const Arrival& each : arrivals) {
    rows += fmt::format("{}[{},{:.6f},{}]", rows.empty() ? "" : ",", each.stream, static_cast<double>(each.at) / 1e9,
                        each.bytes);
  }
  fmt::print("{{\"mode\":\"pace\",\"streams\":{},\"seconds\":{},\"arrivals\":[{}]}}\n", streams,
             static_cast<double>(duration) / 1e9, rows);
  return 0;
}

}  // namespace weir::load
