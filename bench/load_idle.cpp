// Opens N sessions, makes one exchange on each and holds them, doing nothing, until told.
#include <fmt/format.h>

#include <vector>

#include "load.h"
#include "load_exchange.h"
#include "load_json.h"
#include "load_socket.h"

namespace weir::load {

namespace {

// Answers of a batch are awaited before the next batch connects: no listen queue overflows.
constexpr std::size_t batch = 200;
constexpr std::uint64_t exchange_limit = 10'000'000'000;  // ns for a batch

void exchange_once(std::vector<Exchange>& sessions, std::size_t first) {
  Poller poller;
  for (std::size_t i = first; i < sessions.size(); ++i) {
    sessions[i].start();
    poller.add(sessions[i].fd(), EPOLLIN, i);
  }
  std::size_t left = sessions.size() - first;
  const std::uint64_t give_up = now_nanos() + exchange_limit;
  while (left > 0) {
    if (now_nanos() > give_up) throw LoadError(fmt::format("{} of the last sessions got no answer in 10 s", left));
    for (const auto& event : poller.wait_until(give_up)) {
      if (sessions[event.data.u64].on_readable()) --left;
    }
  }
}

}  // namespace

auto run_idle(Arguments arguments) -> int {
  const std::string address = arguments.positional("the address to connect to");
  const auto count = arguments.number("sessions", 10'000, 1, 1'000'000);
  const auto request = static_cast<std::uint32_t>(arguments.number("request", 64, sizeof(Header), max_message));
  const auto response = static_cast<std::uint32_t>(arguments.number("response", 64, 1, max_message));
  arguments.finish();
  raise_descriptor_limit(count + 64);
  std::vector<Exchange> sessions;
  sessions.reserve(count);
  const std::uint64_t begin = now_nanos();
  while (sessions.size() < count) {
    const std::size_t first = sessions.size();
    for (std::size_t i = 0; i < batch && sessions.size() < count; ++i) {
      sessions.emplace_back(connect_to(address), request, response);
    }
    exchange_once(sessions, first);
  }
  const double seconds = static_cast<double>(now_nanos() - begin) / 1e9;
  wait_at_gate("held");
  Json json;
  json.add("mode", "idle").add("sessions", count).add("open_seconds", seconds).print();
  return 0;
}

}  // namespace weir::load
