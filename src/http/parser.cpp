#include "http/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <utility>

#include "http/percent.h"

namespace weir::http {
namespace {

namespace beast_http = boost::beast::http;
using BeastRequest = beast_http::request<beast_http::string_body>;

auto lower(std::string_view text) -> std::string {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "http://host/path" is how a client writes a target that takes us for a proxy; every server has to
// understand it, and its host counts, not the header's (RFC 9112, 3.2.2).
auto without_authority(std::string_view target, Request& out) -> std::string_view {
  constexpr std::string_view scheme = "http://";
  if (!lower(target.substr(0, scheme.size())).starts_with(scheme)) return target;
  target.remove_prefix(scheme.size());
  const auto path = std::min(target.find('/'), target.size());
  out.headers["host"] = target.substr(0, path);  // mutant: http-host-field-beats-the-target
  return path == target.size() ? "/" : target.substr(path);
}

void split_target(std::string_view target, Request& out) {
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

auto head_of(const BeastRequest& from) -> Request {
  Request out;
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
  return out;
}

// What the framing and the target of a request must be, beyond what Beast sees to; empty: they are. Each rule is of
// RFC 9112: a request that two readers may understand in two ways hides another behind it.
auto what_is_wrong(const BeastRequest& request) -> std::string_view {
  using beast_http::field;
  const bool has_encoding = request.find(field::transfer_encoding) != request.end();
  if (has_encoding && request.version() < 11) return "HTTP/1.0 has no Transfer-Encoding";  // 6.1
  if (has_encoding && request.find(field::content_length) != request.end()) {
    return "it has a Transfer-Encoding and a Content-Length: leave one of them out";  // 6.1
  }
  std::size_t encodings = 0;
  std::size_t hosts = 0;
  std::string_view encoding;
  for (const auto& each : request) {
    if (each.name() == field::host) ++hosts;
    if (each.name() != field::transfer_encoding) continue;
    ++encodings;
    encoding = {each.value().data(), each.value().size()};
  }
  // mutant: http-encoding-not-understood-is-no-body
  if (encodings > 1 || (encodings == 1 && lower(encoding) != "chunked")) {
    return "its Transfer-Encoding is not understood: the only one here is chunked";  // 6.1, 7
  }
  // mutant: http-second-host-accepted
  if (hosts > 1) return "it has more than one Host";  // 3.2
  // mutant: http-request-without-host
  if (hosts == 0 && request.version() >= 11) return "it has no Host: HTTP/1.1 needs one";  // 3.2
  return {};
}

// "16 KiB", "1 MiB"
auto binary_size(std::uint64_t bytes) -> std::string {
  constexpr std::uint64_t kib = 1024;
  if (bytes >= kib * kib && bytes % (kib * kib) == 0) return fmt::format("{} MiB", bytes / (kib * kib));
  return bytes % kib == 0 ? fmt::format("{} KiB", bytes / kib) : fmt::format("{} bytes", bytes);
}

}  // namespace

struct RequestParser::Beast {
  explicit Beast(const Limits& limits) {
    request.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    request.body_limit(limits.body_bytes);
  }
  beast_http::request_parser<beast_http::string_body> request;
};

RequestParser::RequestParser(const Limits& limits) : limits_(limits), beast_(std::make_unique<Beast>(limits)) {}
RequestParser::~RequestParser() = default;

auto RequestParser::fail(int status, std::string why) -> Progress {
  refusal_ = {status, std::move(why)};
  return Progress::failed;
}

auto RequestParser::refuse_header() -> Progress {
  return fail(431, fmt::format("the headers are longer than {}", binary_size(limits_.header_bytes)));
}

// Beast's own limit holds for the first line and for the rest, or for both together, depending on the pieces in which
// they come.
auto RequestParser::header_is_too_long(std::string_view bytes) const -> bool {
  if (beast_->request.is_header_done() || header_taken_ + bytes.size() <= limits_.header_bytes) return false;
  const bool ends_here = header_taken_ > 0 && bytes.starts_with("\r\n");
  const auto end = ends_here ? 0 : bytes.find("\r\n\r\n");
  return end == std::string_view::npos || header_taken_ + end + (ends_here ? 2 : 4) > limits_.header_bytes;
}

// Beast adds the fields of a trailer to those of the head, where they must not count (RFC 9110, 6.5.1): what a request
// is, is settled before its body is read.
auto RequestParser::judge_head() -> Progress {
  judged_ = true;
  auto& request = beast_->request;
  head_ = head_of(request.get());
  keep_alive_ = request.keep_alive();
  wants_continue_ = boost::beast::iequals(request.get()[beast_http::field::expect], "100-continue");
  request.eager(true);
  const auto wrong = what_is_wrong(request.get());
  return wrong.empty() ? Progress::has_head : fail(400, fmt::format("malformed HTTP request: {}", wrong));
}

auto RequestParser::head() const -> const Request& { return head_; }
auto RequestParser::is_complete() const -> bool { return beast_->request.is_done(); }

auto RequestParser::feed(std::string& bytes) -> Progress {
  auto& request = beast_->request;
  if (!began_ && !skipped_line_ && bytes.starts_with('\r')) {
    if (bytes.size() == 1) return Progress::needs_more;
    // RFC 9112, 2.2: one empty line before a request is ignored; old clients send one after a body.
    if (bytes[1] == '\n') bytes.erase(0, 2);
    skipped_line_ = true;
  }
  std::size_t used = bytes.size();
  while (true) {
    if (request.is_header_done() && !judged_) return judge_head();
    if (request.is_done()) return Progress::complete;
    // Who sends the body at once waits for nothing (RFC 9110, 10.1.1).
    if (std::exchange(wants_continue_, false) && bytes.empty()) return Progress::wants_continue;
    if (bytes.empty() || used == 0) break;
    began_ = true;
    boost::beast::error_code error;
    // mutant: http-header-limit-depends-on-the-pieces
    if (header_is_too_long(bytes)) error = beast_http::error::header_limit;
    used = error ? 0 : request.put(boost::asio::buffer(bytes), error);
    bytes.erase(0, used);
    header_taken_ += used;
    if (error == beast_http::error::body_limit) {
      return fail(413, fmt::format("the body is longer than {}", binary_size(limits_.body_bytes)));
    }
    if (error == beast_http::error::header_limit) return refuse_header();
    if (error && error != beast_http::error::need_more) {
      return fail(400, "malformed HTTP request: " + error.message());
    }
  }
  // Beast keeps a chunk's first line and the trailer there until they are complete, without a limit.
  // mutant: http-trailer-without-limit
  return bytes.size() > limits_.header_bytes ? refuse_header() : Progress::needs_more;
}

auto RequestParser::take() -> Taken {
  Taken taken{.request = std::exchange(head_, {}),
              .keep_alive = keep_alive_,
              .takes_chunks = beast_->request.get().version() >= 11};
  taken.request.body = std::move(beast_->request.get().body());
  beast_ = std::make_unique<Beast>(limits_);
  began_ = false;
  judged_ = false;
  skipped_line_ = false;
  wants_continue_ = false;
  header_taken_ = 0;
  return taken;
}

}  // namespace weir::http
