#include "http/connection.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <array>
#include <exception>
#include <new>
#include <utility>

#include "base/duration.h"
#include "base/spare_memory.h"

namespace weir::http {
namespace {

constexpr int reads_per_turn = 4;
using Status = IoResult::Status;

auto plain(int status, std::string_view sentence) -> Response {
  Response response{.status = status};
  response.set("Content-Type", "text/plain; charset=utf-8");
  response.body = fmt::format("{}\n", sentence);
  return response;
}

// How often, anywhere in the process.
auto memory_ran_out() -> std::uint64_t { return out_of_memory_count() + failed_allocations(); }

}  // namespace

Connection::Connection(ServerContext& server, std::unique_ptr<Transport> transport)
    : server_(server), transport_(std::move(transport)), parser_(server.limits) {}

Connection::~Connection() = default;

auto Connection::start() -> bool {
  server_.loop.assert_on_loop_thread();
  if (!transport_->watch(server_.loop, *this)) return false;
  idle_since_ = server_.loop.now();
  arm(server_.limits.idle_timeout);
  return true;
}

void Connection::arm(Nanos timeout) { server_.loop.wheel().arm(*this, server_.loop.now() + timeout); }

auto Connection::place() const -> Place {
  server_.loop.assert_on_loop_thread();
  if (phase_ == Phase::reading) return {is_stranger_ ? Claim::stranger : Claim::idle, idle_since_};
  const bool is_deaf = !out_.empty() && server_.loop.now() - idle_since_ >= server_.limits.deaf_after;
  const bool gives_way =
      phase_ == Phase::lingering || ((phase_ == Phase::writing || phase_ == Phase::streaming) && is_deaf);
  return {gives_way ? Claim::deaf : Claim::none_given, idle_since_};
}

void Connection::end() {
  server_.loop.assert_on_loop_thread();
  if (phase_ == Phase::ended) return;
  phase_ = Phase::ended;
  stop_waiting();
  count_waiting(0);
  release_shared();
  transport_->unwatch(server_.loop);
  server_.loop.wheel().disarm(*this);
  server_.loop.cancel(*this);
  stream_.reset();
  transport_.reset();
  server_.on_end(*this);
}

void Connection::stop() {
  server_.loop.assert_on_loop_thread();
  if (phase_ == Phase::streaming || (phase_ == Phase::reading && !parser_.began())) end();
}

void Connection::on_timer() {
  guarded([this] { time_is_over(); });
}

void Connection::time_is_over() {
  if (phase_ == Phase::streaming && out_.empty()) {
    put_piece(stream_->filler());
    arm(server_.limits.write_timeout);
    return flush();
  }
  if (phase_ != Phase::handling) return end();
  stop_waiting();
  server_.log.error(fmt::format("{}: no answer within {}", what_, format_duration(server_.limits.answer_timeout)));
  keep_alive_ = false;
  send_response(plain(503, "the answer takes too long; ask again later"));
}

void Connection::on_ready(std::uint32_t events) {
  if (phase_ == Phase::ended) return;
  guarded([this, events] {
    if ((events & EPOLLOUT) != 0 && !out_.empty()) {
      if (phase_ == Phase::streaming) {
        feed_stream();
      } else {
        flush();
      }
    }
    if (phase_ != Phase::ended) read();
  });
}

void Connection::on_rerun() {
  guarded([this] { go_on(); });
}

void Connection::go_on() {
  if (phase_ == Phase::streaming) {
    feed_stream();
  } else if (phase_ == Phase::writing) {
    flush();
  } else {
    digest();
  }
  if (phase_ != Phase::ended) read();
}

void Connection::read() {
  std::array<char, 16384> buffer;
  for (int i = 0; i < reads_per_turn; ++i) {
    const bool throw_away = phase_ == Phase::streaming || phase_ == Phase::lingering;
    // Who sends requests and takes no answer is not read any more.
    if (peer_ended_ || (!throw_away && in_.size() > server_.limits.header_bytes)) return;
    const IoResult got = transport_->read(buffer);
    if (got.status == Status::would_block) return;
    if (got.status == Status::broken || (got.status == Status::end && throw_away)) return end();
    if (got.status == Status::end) {
      peer_ended_ = true;  // it may still read: what it asked for is answered first
    } else if (!throw_away) {
      in_.append(buffer.data(), got.bytes);
    }
    digest();
    if (phase_ == Phase::ended) return;
  }
  server_.loop.run_again(*this);
}

void Connection::digest() {
  for (bool has_more_to_say = false; phase_ == Phase::reading;) {  // mutant: http-pipelined-request-overtakes
    if (in_.empty() && !peer_ended_ && !std::exchange(has_more_to_say, false)) return;
    const bool had_begun = parser_.began();
    const auto progress = parser_.feed(in_);
    if (parser_.began() && !had_begun) arm(server_.limits.read_timeout);
    switch (progress) {
      case RequestParser::Progress::has_head:
        if (!passes_gate()) return;
        has_more_to_say = true;
        break;
      case RequestParser::Progress::needs_more:
        if (peer_ended_) end();
        return;
      case RequestParser::Progress::wants_continue:
        out_ += "HTTP/1.1 100 Continue\r\n\r\n";
        flush();
        break;
      case RequestParser::Progress::complete: return call_handler();
      case RequestParser::Progress::failed: return refuse(parser_.refusal().status, parser_.refusal().why);
    }
  }
}

auto Connection::passes_gate() -> bool {
  const Request head = parser_.head();
  auto refusal = server_.gate ? server_.gate(head) : std::nullopt;
  if (!refusal) {
    is_stranger_ = false;
    return true;
  }
  // A body that is still to come would have to be read.
  keep_alive_ = parser_.is_complete() && parser_.take().keep_alive;
  if (!keep_alive_) in_.clear();
  head_ = head.method == "HEAD";
  send_response(*std::move(refusal));
  return false;
}

void Connection::call_handler() {
  auto taken = parser_.take();
  keep_alive_ = taken.keep_alive;
  takes_chunks_ = taken.takes_chunks;
  taken.request.peer = transport_->peer();
  head_ = taken.request.method == "HEAD";
  what_ = fmt::format("{} {}", taken.request.method, taken.request.path);
  phase_ = Phase::handling;
  memory_ran_out_before_ = memory_ran_out();
  arm(server_.limits.answer_timeout);
  in_handler_ = true;
  std::string failed;
  try {
    server_.handler(std::move(taken.request), make_responder());
  } catch (const std::bad_alloc&) {
    note_out_of_memory();  // send_no_answer() looks
  } catch (const std::exception& error) {
    // A defect of ours must not end everybody's sessions.
    failed = error.what();
    if (failed.empty()) failed = "an exception without a word";
  }
  in_handler_ = false;
  if (!failed.empty()) server_.log.error(fmt::format("{} failed: {}", what_, failed));
  if (phase_ != Phase::handling || is_waiting()) return;
  if (failed.empty()) return send_no_answer();
  send_response(Response{.status = 500, .body = "internal error\n"});
}

// What was to answer is gone: for want of memory, or by a defect of ours.
void Connection::send_no_answer() {
  if (memory_ran_out() != memory_ran_out_before_) {
    return send_response(plain(503, "there is not enough memory to answer; ask again later"));
  }
  server_.log.error(fmt::format("{} failed: its handler gave no answer", what_));
  send_response(Response{.status = 500, .body = "internal error\n"});
}

void Connection::on_response(Response response) {
  server_.loop.assert_on_loop_thread();
  guarded([&] { send_response(std::move(response)); });
}

void Connection::on_no_response() {
  server_.loop.assert_on_loop_thread();
  if (in_handler_) return;  // call_handler() looks when the handler has returned, and knows more
  guarded([this] { send_no_answer(); });
}

void Connection::refuse(int status, std::string_view why) {
  in_.clear();
  keep_alive_ = false;
  head_ = false;
  send_response(plain(status, why));
}

}  // namespace weir::http
