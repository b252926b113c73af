#include "control/http_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <cerrno>
#include <exception>

#include "net/socket.h"

namespace weir::control {

namespace http = boost::beast::http;

struct HttpConnection::Parser {
  Parser() {
    request.header_limit(HttpServer::most_header_bytes);
    request.body_limit(HttpServer::most_body_bytes);
    request.eager(true);
  }
  http::request_parser<http::string_body> request;
  bool began = false;
  bool continued = false;
};

namespace {

constexpr int reads_per_turn = 4;
constexpr Nanos linger = std::chrono::seconds{2};

auto lower(std::string_view text) -> std::string {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "http://host/path" is how a client writes a target that takes us for a proxy; every server has to
// understand it, and its host counts, not the header's (RFC 9112, 3.2.2).
auto without_authority(std::string_view target, HttpRequest& out) -> std::string_view {
  constexpr std::string_view scheme = "http://";
  if (!lower(target.substr(0, scheme.size())).starts_with(scheme)) return target;
  target.remove_prefix(scheme.size());
  const auto path = std::min(target.find('/'), target.size());
  out.headers["host"] = target.substr(0, path);
  return path == target.size() ? "/" : target.substr(path);
}

void split_target(std::string_view target, HttpRequest& out) {
  const auto mark = target.find('?');
  out.path = target.substr(0, mark);
  if (mark == std::string_view::npos) return;
  std::string_view left = target.substr(mark + 1);
  while (!left.empty()) {
    const auto end = std::min(left.find('&'), left.size());
    const auto pair = left.substr(0, end);
    const auto equals = std::min(pair.find('='), pair.size());
    out.query[percent_decode(pair.substr(0, equals))] =
        equals < pair.size() ? percent_decode(pair.substr(equals + 1)) : "";
    left.remove_prefix(std::min(end + 1, left.size()));
  }
}

auto to_request(http::request<http::string_body>&& from) -> HttpRequest {
  HttpRequest out;
  out.method = std::string(from.method_string());
  for (const auto& field : from) {
    const auto name = field.name_string();
    const auto value = field.value();
    auto& slot = out.headers[lower({name.data(), name.size()})];
    if (!slot.empty()) slot += ", ";
    slot.append(value.data(), value.size());
  }
  const auto target = from.target();
  split_target(without_authority({target.data(), target.size()}, out), out);
  out.body = std::move(from.body());
  return out;
}

}  // namespace

HttpConnection::HttpConnection(HttpServer& server, Fd socket)
    : server_(server), socket_(std::move(socket)), parser_(std::make_unique<Parser>()) {}

HttpConnection::~HttpConnection() = default;

auto HttpConnection::start() -> bool {
  const auto token = server_.loop_.watch(socket_.get(), *this, net::EventLoop::stream_events);
  if (!token) return false;
  token_ = *token;
  watched_ = true;
  idle_since_ = server_.loop_.now();
  arm(HttpServer::idle_timeout);
  return true;
}

void HttpConnection::arm(Nanos timeout) { server_.loop_.wheel().arm(*this, server_.loop_.now() + timeout); }

auto HttpConnection::waits_since() const -> std::optional<MonoTime> {
  if (stream_ || !out_.empty()) return std::nullopt;
  return idle_since_;
}

void HttpConnection::end() {
  if (ended_) return;
  ended_ = true;
  count_out(0);
  if (watched_) server_.loop_.forget(token_);
  watched_ = false;
  server_.loop_.wheel().disarm(*this);
  server_.loop_.cancel(*this);
  stream_.reset();
  socket_.reset();
  server_.ended(*this);
}

void HttpConnection::stop() {
  closing_ = true;
  if (stream_ || (!parser_->began && out_.empty())) end();
}

void HttpConnection::on_timer() { end(); }

void HttpConnection::on_rerun() {
  if (ended_) return;
  if (stream_) {
    feed_stream();
  } else {
    digest();
  }
  if (!ended_) read();
}

void HttpConnection::on_ready(std::uint32_t events) {
  if (ended_) return;
  if ((events & EPOLLOUT) != 0 && !out_.empty()) flush();
  if (!ended_) read();
}

void HttpConnection::read() {
  std::array<char, 16384> buffer;
  for (int i = 0; i < reads_per_turn; ++i) {
    // Who sends requests and takes no answer is not read any more.
    if (!stream_ && in_.size() > HttpServer::most_header_bytes) return;
    const ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n < 0 || (n == 0 && (stream_ || (!parser_->began && out_.empty() && in_.empty())))) return end();
    if (n == 0) {
      peer_ended_ = true;  // it may still read: what it asked for is answered first
      closing_ = true;
      if (out_.empty()) end();
      return;
    }
    if (stream_ || closing_) continue;
    in_.append(buffer.data(), static_cast<std::size_t>(n));
    digest();
    if (ended_) return;
  }
  server_.loop_.run_again(*this);
}

void HttpConnection::digest() {
  while (!ended_ && !closing_ && !stream_ && out_.empty() && !in_.empty()) {
    if (!parser_->began) {
      parser_->began = true;
      arm(HttpServer::read_timeout);
    }
    boost::beast::error_code error;
    const std::size_t used = parser_->request.put(boost::asio::buffer(in_), error);
    in_.erase(0, used);
    if (error == http::error::need_more) error = {};
    if (error == http::error::body_limit) return refuse(413, "the body is longer than 1 MiB");
    if (error == http::error::header_limit) return refuse(431, "the headers are longer than 16 KiB");
    if (error) return refuse(400, "malformed HTTP request: " + error.message());
    if (parser_->request.is_done()) {
      answer();
      continue;
    }
    if (parser_->request.is_header_done() && !parser_->continued &&
        boost::beast::iequals(parser_->request.get()[http::field::expect], "100-continue")) {
      parser_->continued = true;
      constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      (void)::send(socket_.get(), go_on.data(), go_on.size(), MSG_NOSIGNAL);
    }
    if (used == 0) return;
  }
}

void HttpConnection::answer() {
  const bool keep_alive = parser_->request.keep_alive();
  const HttpRequest request = to_request(parser_->request.release());
  parser_ = std::make_unique<Parser>();
  HttpAnswer reply;
  try {
    reply = server_.handler_(request);
  } catch (const std::exception& error) {
    // A defect of ours must not end everybody's sessions.
    server_.log_.error(fmt::format("{} {} failed: {}", request.method, request.path, error.what()));
    reply = {};
    reply.status = 500;
    reply.body = "internal error\n";
  }
  send_answer(std::move(reply), keep_alive && !server_.stopping_, request.method == "HEAD");
}

void HttpConnection::refuse(int status, std::string_view why) {
  HttpAnswer reply;
  reply.status = status;
  reply.set("Content-Type", "text/plain; charset=utf-8");
  reply.body = fmt::format("{}\n", why);
  in_.clear();
  send_answer(std::move(reply), false, false);
}

void HttpConnection::count_out(std::size_t bytes) {
  server_.waiting_bytes_ += bytes - counted_;
  counted_ = bytes;
}

void HttpConnection::send_answer(HttpAnswer answer, bool keep_alive, bool head) {
  if (server_.waiting_bytes_ > 0 && server_.waiting_bytes_ + answer.body.size() > HttpServer::most_waiting_bytes) {
    answer = {};
    answer.status = 503;
    answer.body = "256 MiB of answers wait for who asked for them: read them, or ask again later\n";
  }
  closing_ = closing_ || !keep_alive;
  out_ += fmt::format("HTTP/1.1 {} {}\r\n", answer.status, status_text(answer.status));
  for (const auto& [name, value] : answer.headers) out_ += fmt::format("{}: {}\r\n", name, value);
  if (answer.stream) {
    out_ += "Connection: close\r\n\r\n";
    stream_ = std::move(answer.stream);
    if (const auto patience = stream_->patience()) {
      net::StreamOptions options;
      options.user_timeout = patience;
      if (const auto here = net::local_address(socket_.get())) {
        (void)net::apply_stream_options(socket_.get(), here->family(), options);
      }
    }
    out_ += stream_->begin([this] { server_.loop_.run_again(*this); });
    in_.clear();
    server_.loop_.wheel().disarm(*this);
    return feed_stream();
  }
  if (answer.status != 204) out_ += fmt::format("Content-Length: {}\r\n", answer.body.size());
  if (closing_) out_ += "Connection: close\r\n";
  out_ += "\r\n";
  if (!head && answer.status != 204) out_ += answer.body;
  count_out(out_.size());
  arm(HttpServer::write_timeout);
  flush();
}

void HttpConnection::feed_stream() {
  while (!ended_) {
    const std::size_t waiting = out_.size() - sent_;
    if (waiting >= HttpServer::stream_buffer) return;
    const std::string more = stream_->more(HttpServer::stream_buffer - waiting);
    if (!more.empty()) out_ += more;
    if (out_.empty()) return server_.loop_.wheel().disarm(*this);
    const std::size_t before = out_.size() - sent_;
    flush();
    if (ended_ || more.empty() || out_.size() - sent_ == before) return;
  }
}

void HttpConnection::flush() {
  bool moved = false;
  while (sent_ < out_.size()) {
    const ssize_t n = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n < 0) return end();
    sent_ += static_cast<std::size_t>(n);
    moved = true;
  }
  if (sent_ == out_.size()) {
    out_.clear();
    out_.shrink_to_fit();  // an answer may have had megabytes
    sent_ = 0;
    count_out(0);
    if (stream_) return server_.loop_.wheel().disarm(*this);
    if (closing_) {
      // What the peer still sends would turn a close into a reset, which takes the answer away: its end is
      // waited for, a little, and what it sends meanwhile is thrown away.
      if (peer_ended_) return end();
      ::shutdown(socket_.get(), SHUT_WR);
      return arm(linger);
    }
    idle_since_ = server_.loop_.now();
    arm(HttpServer::idle_timeout);
    if (!in_.empty()) server_.loop_.run_again(*this);
  } else if (moved) {
    arm(HttpServer::write_timeout);
  }
}

}  // namespace weir::control
