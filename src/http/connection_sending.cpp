// The sending half of a connection: answers, shared bodies and streams, in turns of the loop.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "http/connection.h"

namespace weir::http {
namespace {

constexpr std::size_t write_per_turn = 256UL << 10U;
using Status = IoResult::Status;

}  // namespace

void Connection::count_waiting(std::size_t bytes) {
  server_.waiting_bytes += bytes - counted_;
  counted_ = bytes;
}

void Connection::share(BodyPieces body) {
  for (const auto& piece : body) {
    if (++server_.sharers[piece.get()] == 1) server_.waiting_bytes += piece->size();
  }
  shared_ = std::move(body);
  piece_ = piece_sent_ = 0;
}

void Connection::release_piece() {
  const auto found = server_.sharers.find(shared_[piece_].get());
  if (--found->second == 0) {
    server_.waiting_bytes -= shared_[piece_]->size();
    server_.sharers.erase(found);
  }
  shared_[piece_++].reset();
  piece_sent_ = 0;
}

void Connection::release_shared() {
  while (piece_ < shared_.size()) release_piece();
  shared_.clear();
  piece_ = 0;
}

void Connection::send_response(Response response) {
  const Limits& limits = server_.limits;
  std::size_t more = response.body.size();
  for (const auto& piece : response.shared_body) {
    if (!server_.sharers.contains(piece.get())) more += piece->size();
  }
  if (server_.waiting_bytes > 0 && server_.waiting_bytes + more > limits.waiting_bytes) {
    response = {.status = 503};
    response.body = fmt::format("{} MiB of answers wait for who asked for them: read them, or ask again later\n",
                                limits.waiting_bytes >> 20U);
  }
  if (server_.stopping) keep_alive_ = false;
  out_ += fmt::format("HTTP/1.1 {} {}\r\n", response.status, status_text(response.status));
  for (const auto& [name, value] : response.headers) out_ += fmt::format("{}: {}\r\n", name, value);
  if (response.stream && !head_) return send_stream(std::move(response.stream));
  const bool has_body = response.status != 204 && response.status != 304;
  if (response.stream) {
    keep_alive_ = false;  // as it is with GET
  } else if (has_body) {
    out_ += fmt::format("Content-Length: {}\r\n", response.body_size());
  }
  if (!keep_alive_) out_ += "Connection: close\r\n";
  out_ += "\r\n";
  if (has_body && !head_ && !response.shared_body.empty()) {
    share(std::move(response.shared_body));
  } else if (has_body && !head_) {
    out_.reserve(out_.size() + response.body.size());  // or a body of megabytes would take twice as much
    out_ += response.body;
  }
  count_waiting(out_.size());
  phase_ = Phase::writing;
  idle_since_ = server_.loop.now();
  arm(limits.write_timeout);
  flush();
}

void Connection::send_stream(std::unique_ptr<BodyStream> stream) {
  if (server_.stopping) return end();  // a body without an end would never let it stop
  chunked_ = takes_chunks_ && stream->can_end();
  if (chunked_) out_ += "Transfer-Encoding: chunked\r\n";
  out_ += "Connection: close\r\n\r\n";
  phase_ = Phase::streaming;
  stream_ = std::move(stream);
  in_.clear();
  if (const auto patience = stream_->patience()) transport_->set_patience(*patience);
  put_piece(stream_->begin([this] { server_.loop.run_again(*this); }));
  arm(server_.limits.write_timeout);
  if (peer_ended_) return end();  // nobody is left to read a body without an end
  server_.loop.run_again(*this);  // it may have stopped reading
  feed_stream();
}

void Connection::feed_stream() {
  const std::size_t most = server_.limits.stream_bytes;
  constexpr int rounds_per_turn = 4;  // others' turn comes, however much there is
  for (int round = 0; phase_ == Phase::streaming; ++round) {
    if (round == rounds_per_turn) return server_.loop.run_again(*this);
    const std::size_t waiting = out_.size() - sent_;
    const std::string more = waiting < most ? stream_->more(most - waiting) : std::string();
    if (out_.empty() && !more.empty()) {
      idle_since_ = server_.loop.now();
      arm(server_.limits.write_timeout);
    }
    if (waiting < most && more.empty()) {
      if (const auto trailer = stream_->ended()) return end_stream(*trailer);
    }
    put_piece(more);
    flush();
    if (!out_.empty()) return;                   // until the peer takes more
    if (waiting < most && more.empty()) return;  // until there is more
  }
}

void Connection::put_piece(std::string_view piece) {
  if (piece.empty()) return;  // in chunks it would be the end
  if (chunked_) out_ += fmt::format("{:x}\r\n", piece.size());
  out_ += piece;
  if (chunked_) out_ += "\r\n";
}

void Connection::end_stream(const Fields& trailer) {
  if (chunked_) {
    out_ += "0\r\n";
    for (const auto& [name, value] : trailer) out_ += fmt::format("{}: {}\r\n", name, value);
    out_ += "\r\n";
  }
  stream_.reset();
  keep_alive_ = false;
  phase_ = Phase::writing;
  idle_since_ = server_.loop.now();
  arm(server_.limits.write_timeout);
  flush();
}

auto Connection::rest() const -> std::string_view {
  if (sent_ < out_.size() || piece_ == shared_.size()) return std::string_view(out_).substr(sent_);
  return std::string_view(*shared_[piece_]).substr(piece_sent_);
}

void Connection::count_sent(std::size_t bytes) {
  if (sent_ < out_.size()) {
    sent_ += bytes;
    return;
  }
  piece_sent_ += bytes;
  if (piece_sent_ == shared_[piece_]->size()) release_piece();
}

void Connection::flush() {
  std::size_t moved = 0;
  while (!rest().empty()) {
    // A peer that reads as fast as we write would keep the loop to itself.
    if (moved >= write_per_turn) {
      server_.loop.run_again(*this);
      break;
    }
    const IoResult took = transport_->write(rest().substr(0, write_per_turn));
    if (took.status == Status::would_block) break;
    if (took.status != Status::moved) return end();
    count_sent(took.bytes);
    moved += took.bytes;
  }
  if (rest().empty()) return all_is_sent();
  // mutant: http-stream-grows-with-a-slow-reader
  if (phase_ == Phase::streaming && sent_ >= server_.limits.stream_bytes) {
    out_.erase(0, std::exchange(sent_, 0));  // a reader that never catches up would make it grow for ever
  }
  if (moved > 0 && (phase_ == Phase::writing || phase_ == Phase::streaming)) {
    idle_since_ = server_.loop.now();
    arm(server_.limits.write_timeout);
  }
}

void Connection::all_is_sent() {
  out_.clear();
  out_.shrink_to_fit();  // an answer may have had megabytes
  sent_ = 0;
  count_waiting(0);
  release_shared();
  if (phase_ == Phase::streaming) {
    return stream_->filler().empty() ? server_.loop.wheel().disarm(*this) : arm(server_.limits.stream_silence);
  }
  if (phase_ != Phase::writing) return;  // it was a "100 Continue"
  if (!keep_alive_ || server_.stopping) {
    // What the peer still sends would turn a close into a reset, which takes the answer away: its end is
    // waited for, a little, and what it sends meanwhile is thrown away.
    if (peer_ended_) return end();  // mutant: http-close-takes-the-answer-away
    transport_->close_write();
    phase_ = Phase::lingering;
    server_.loop.run_again(*this);  // it may have stopped reading
    arm(server_.limits.linger);
    return server_.on_answered();
  }
  phase_ = Phase::reading;
  idle_since_ = server_.loop.now();
  arm(server_.limits.idle_timeout);
  if (!in_.empty() || peer_ended_) server_.loop.run_again(*this);
}

}  // namespace weir::http
