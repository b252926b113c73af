#include "demo/page.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/fd.h"
#include "demo/sockets.h"
#include "demo/workload.h"

namespace weir::demo {
namespace {

auto send_query(const Fd& socket, const Query& query) -> Result<void> {
  // A blocking socket takes all of so little in one call.
  if (::send(socket.get(), query.data(), query.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(query.size())) return {};
  return failure("send the query: " + errno_text(errno), errno);
}

auto receive_reply(const Fd& socket, const PageOptions& options) -> Result<Reply> {
  Reply reply{};
  std::size_t have = 0;
  while (have < reply.size()) {
    const ssize_t got = ::recv(socket.get(), reply.data() + have, reply.size() - have, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      return failure(fmt::format("no reply within {} ms", options.patience.count()), ETIMEDOUT);
    }
    if (got < 0) return failure("receive the reply: " + errno_text(errno), errno);
    if (got == 0) return failure(fmt::format("the connection ended after {} of {} bytes", have, reply.size()));
    if (options.acknowledge_at_once) acknowledge_at_once(socket.get());
    have += static_cast<std::size_t>(got);
  }
  return reply;
}

auto ask(const Fd& socket, std::size_t number, const PageOptions& options) -> Result<Nanos> {
  const Query query = make_query(number);
  const MonoTime start = SystemClock::instance().mono();
  if (auto sent = send_query(socket, query); !sent) return Failure(std::move(sent).error());
  auto reply = receive_reply(socket, options);
  const MonoTime end = SystemClock::instance().mono();
  if (!reply) return Failure(std::move(reply).error());
  if (*reply != make_reply(number)) return failure("the reply is not the one to this query");
  return end - start;
}

auto limit_waits(const Fd& socket, std::chrono::milliseconds patience) -> Result<void> {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
  const timeval limit{.tv_sec = seconds.count(), .tv_usec = std::chrono::microseconds(patience - seconds).count()};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0) return {};
  return failure("setsockopt SO_RCVTIMEO: " + errno_text(errno), errno);
}

}  // namespace

auto run_page(std::uint16_t port, std::size_t queries, const PageOptions& options) -> Result<Series> {
  const auto about = [&](const Error& error, std::string_view what) {
    return failure(fmt::format("{}, 127.0.0.1:{}{}: {}", options.name, port, what, error.message), error.code);
  };
  const auto socket = connect_to(loopback(port), options.patience);
  if (!socket) return about(socket.error(), "");
  if (const auto limited = limit_waits(*socket, options.patience); !limited) return about(limited.error(), "");
  Series series{.name = options.name};
  series.per_query.reserve(queries);
  for (std::size_t number = 0; number < queries; ++number) {
    const auto duration = ask(*socket, number, options);
    if (!duration) return about(duration.error(), fmt::format(", query {}", number + 1));
    series.per_query.push_back(*duration);
    if (options.progress) options.progress(number + 1);
  }
  return series;
}

}  // namespace weir::demo
