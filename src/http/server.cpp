#include "http/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <new>
#include <utility>

namespace weir::http {

Server::Server(net::EventLoop& loop, Handler handler, Log& log, const Limits& limits)
    : context_{.loop = loop,
               .log = log,
               .handler = std::move(handler),
               .gate = {},
               .limits = limits,
               .on_end = {},
               .on_answered = {}} {
  context_.on_end = [this](Connection& connection) {
    context_.loop.free_later(std::move(connections_.extract(&connection).mapped()));
    look_whether_all_are_answered();
  };
  context_.on_answered = [this] { look_whether_all_are_answered(); };
}

Server::~Server() {
  then_ = nullptr;
  context_.loop.wheel().disarm(*this);
  listeners_.clear();
  while (!connections_.empty()) connections_.begin()->first->end();
}

auto Server::listen(Fd socket) -> Result<void> {
  context_.loop.assert_on_loop_thread();
  listeners_.push_back(std::make_unique<Listener>(context_.loop, std::move(socket),
                                                  Listener::Owner{.has_room = [this] { return has_room(); },
                                                                  .on_accepted =
                                                                      [this](Fd client) {
                                                                        const int one = 1;
                                                                        ::setsockopt(client.get(), IPPROTO_TCP,
                                                                                     TCP_NODELAY, &one, sizeof one);
                                                                        adopt(make_transport(std::move(client)));
                                                                      }}));
  return listeners_.back()->start();
}

void Server::adopt(std::unique_ptr<Transport> transport) {
  context_.loop.assert_on_loop_thread();
  auto connection = std::make_unique<Connection>(context_, std::move(transport));
  Connection* key = connection.get();
  const auto place = connections_.emplace(key, std::move(connection)).first;
  // Known before it is watched: the loop must not call what there was no memory to keep.
  bool started = false;
  if (!contained([&] { started = key->start(); }) || !started) connections_.erase(place);
}

auto Server::has_room() -> bool {
  context_.loop.assert_on_loop_thread();
  if (connections_.size() < context_.limits.connections) return true;
  const auto first = std::ranges::min_element(connections_, {}, [](const auto& each) { return each.first->place(); });
  if (first == connections_.end() || first->first->place().claim == Connection::Claim::none_given) return false;
  first->first->end();
  return true;
}

auto Server::held_bytes() const -> std::size_t {
  context_.loop.assert_on_loop_thread();
  std::size_t sum = 0;
  for (const auto& [connection, owned] : connections_) sum += connection->held_bytes();
  return sum;
}

void Server::stop() {
  context_.loop.assert_on_loop_thread();
  context_.stopping = true;
  listeners_.clear();
  // What ends is taken out of the map.
  for (auto each = connections_.begin(); each != connections_.end();) (each++)->first->stop();
}

void Server::finish(std::function<void()> then) {
  stop();
  if (std::exchange(is_finishing_, true)) return;
  then_ = std::move(then);
  context_.loop.wheel().arm(*this, context_.loop.now() + context_.limits.finish_timeout);
  look_whether_all_are_answered();
}

void Server::look_whether_all_are_answered() {
  if (!then_) return;
  if (std::ranges::none_of(connections_, [](const auto& each) { return each.first->is_answering(); })) on_timer();
}

void Server::on_timer() {
  context_.loop.wheel().disarm(*this);
  if (const auto then = std::exchange(then_, nullptr)) then();
}

}  // namespace weir::http
