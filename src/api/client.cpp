#include "api/client.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/control_characters.h"
#include "base/json_shape.h"

namespace weir::api {
namespace {

namespace beast_http = boost::beast::http;

auto nested_too_deep(const std::string& url) -> std::string {
  return fmt::format("what the API at {} answered is nested deeper than {} levels", url, most_json_levels);
}

auto connect_to(const sockaddr* address, socklen_t length) -> Fd {
  Fd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = Client::patience.count(), .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), address, length) != 0) return {};
  return fd;
}

// Whoever answers moves no cursor of our terminal.
auto without_controls(std::string text) -> std::string {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const auto control = control_bytes_at(text, i); control > 0) text.replace(i, control, "?");
  }
  return text;
}

// An answer whose body is handed on as it comes: in chunks, of a length that is said, or up to the end of the
// connection.
class StreamReader {
 public:
  StreamReader() {
    // Not boost::none: Boost 1.74 takes every Content-Length for more than that.
    parser_.body_limit(std::numeric_limits<std::uint64_t>::max());
    parser_.header_limit(Client::most_refusal_bytes);
    parser_.eager(true);
  }
  // What was read; nothing means that the connection has ended. Gives `take` what of it is the body. An error: this is
  // no HTTP.
  template <class Take>
  auto feed(std::string_view bytes, Take take) -> boost::beast::error_code {
    boost::beast::error_code error;
    if (bytes.empty()) {
      if (parser_.got_some() && !parser_.is_done()) parser_.put_eof(error);
      return {};  // is_whole() says whether something is missing
    }
    unread_ += bytes;
    while (!unread_.empty() && !parser_.is_done()) {
      std::array<char, 65536> body;  // NOLINT(cppcoreguidelines-pro-type-member-init): what is read of it was written
      parser_.get().body().data = body.data();
      parser_.get().body().size = body.size();
      const std::size_t used = parser_.put(boost::asio::buffer(unread_), error);
      unread_.erase(0, used);
      const std::size_t got = body.size() - parser_.get().body().size;
      if (got > 0) take(std::string_view(body.data(), got));
      if (error == beast_http::error::need_more) break;
      if (error && error != beast_http::error::need_buffer) return error;
    }
    return {};
  }
  // 0: not known yet.
  [[nodiscard]] auto status() const -> unsigned { return parser_.is_header_done() ? parser_.get().result_int() : 0; }
  [[nodiscard]] auto is_done() const -> bool { return parser_.is_done(); }
  // Its end was announced, and came.
  [[nodiscard]] auto is_whole() const -> bool { return is_done() && !parser_.need_eof(); }
  [[nodiscard]] auto summary() const -> std::string {
    const auto field = parser_.get()["Weir-Summary"];
    return {field.data(), field.size()};
  }

 private:
  beast_http::response_parser<beast_http::buffer_body> parser_;
  std::string unread_;
};

}  // namespace

auto Client::create(std::string_view url, std::string token, std::string user_agent) -> Result<Client> {
  Client client;
  client.url_ = url;
  client.token_ = std::move(token);
  client.user_agent_ = std::move(user_agent);
  if (url.starts_with("unix:")) {
    client.unix_path_ = url.substr(5);
    client.host_ = "localhost";
    return client;
  }
  if (url.starts_with("https://")) return failure(fmt::format("{}: the API speaks plain HTTP; write http://", url));
  if (url.starts_with("http://")) url.remove_prefix(7);
  url = url.substr(0, url.find('/'));
  client.host_ = url;
  const auto colon = url.rfind(':');
  const bool has_port = colon != std::string_view::npos && url.find(']', colon) == std::string_view::npos;
  client.port_ = has_port ? std::string(url.substr(colon + 1)) : "80";
  auto host = has_port ? url.substr(0, colon) : url;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  client.connect_host_ = host.empty() ? "localhost" : host;
  if (client.port_.empty() || client.port_.find_first_not_of("0123456789") != std::string::npos) {
    return failure(fmt::format("{}: write the API's address as http://HOST:PORT or unix:/path", client.url_));
  }
  return client;
}

auto Client::connect() const -> Result<Fd> {
  const auto failed = [&](const std::string& why) {
    return failure(fmt::format("cannot reach the API at {}: {} (is \"weir serve\" running there?)", url_, why));
  };
  if (!unix_path_.empty()) {
    sockaddr_storage storage{};
    const socklen_t length = Address(Address::Unix{unix_path_}).to_sockaddr(storage);
    Fd fd = connect_to(reinterpret_cast<const sockaddr*>(&storage), length);
    return fd ? Result<Fd>(std::move(fd)) : failed(errno_text(errno));
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(connect_host_.c_str(), port_.c_str(), &hints, &found);
  if (error != 0) return failed(::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (Fd fd = connect_to(each->ai_addr, each->ai_addrlen)) return fd;
  }
  return failed(errno_text(errno));
}

auto Client::send(int fd, const std::string& method, const std::string& path, const std::string& body) const
    -> Result<void> {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nConnection: close\r\n", method, path,
                                 host_, user_agent_);
  if (!token_.empty()) text += fmt::format("Authorization: Bearer {}\r\n", token_);
  if (!body.empty()) text += "Content-Type: application/json\r\n";
  text += fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body);
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t n = ::send(fd, left.data(), left.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failure(fmt::format("sending to the API at {} failed: {}", url_, errno_text(errno)), errno);
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

auto Client::request(const std::string& method, const std::string& path, const std::string& body) const
    -> Result<ClientResponse> {
  auto fd = connect();
  if (!fd) return tl::make_unexpected(fd.error());
  if (auto sent = send(fd->get(), method, path, body); !sent) return tl::make_unexpected(sent.error());
  beast_http::response_parser<beast_http::string_body> parser;
  parser.body_limit(most_answer_bytes);
  parser.eager(true);
  std::string buffer;
  std::array<char, 65536> piece{};
  while (!parser.is_done()) {
    const ssize_t n = ::recv(fd->get(), piece.data(), piece.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    boost::beast::error_code error;
    if (n < 0) return failure(fmt::format("no answer from the API at {}: {}", url_, errno_text(errno)), errno);
    if (n == 0) {
      parser.put_eof(error);
      if (error || !parser.is_done()) return failure(fmt::format("the API at {} ended before its answer did", url_));
      break;
    }
    buffer.append(piece.data(), static_cast<std::size_t>(n));
    buffer.erase(0, parser.put(boost::asio::buffer(buffer), error));
    if (error && error != beast_http::error::need_more) {
      return failure(fmt::format("what answers at {} does not speak HTTP: {}", url_, error.message()));
    }
  }
  if (judge_json_shape(parser.get().body()) == JsonShape::too_deep) return failure(nested_too_deep(url_));
  return ClientResponse{.status = static_cast<int>(parser.get().result_int()), .body = std::move(parser.get().body())};
}

auto Client::stream(const std::string& path, const std::function<void()>& on_begin,
                    const std::function<bool(std::string_view)>& take) const -> Result<StreamEnd> {
  auto fd = connect();
  if (!fd) return tl::make_unexpected(fd.error());
  // Nothing may happen for a long time.
  const timeval forever{};
  ::setsockopt(fd->get(), SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
  if (auto sent = send(fd->get(), "GET", path, ""); !sent) return tl::make_unexpected(sent.error());
  StreamReader reader;
  std::string refused;
  std::array<char, 65536> piece{};
  bool has_begun = false;
  while (true) {
    const ssize_t n = ::recv(fd->get(), piece.data(), piece.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(fmt::format("the API at {} failed: {}", url_, errno_text(errno)), errno);
    bool wanted = true;
    const auto take_body = [&](std::string_view bytes) {
      if (reader.status() != 200) {
        refused += bytes;
      } else if (wanted) {
        if (!std::exchange(has_begun, true)) on_begin();
        wanted = take(bytes);
      }
    };
    if (const auto error = reader.feed({piece.data(), static_cast<std::size_t>(n)}, take_body)) {
      return failure(fmt::format("what answers at {} does not speak HTTP: {}", url_, error.message()));
    }
    if (reader.status() == 200 && !std::exchange(has_begun, true)) on_begin();
    const bool is_over = n == 0 || reader.is_done();
    if (is_over && reader.status() == 0) return failure(fmt::format("the API at {} ended before its answer did", url_));
    if (reader.status() != 0 && reader.status() != 200 && (is_over || refused.size() > most_refusal_bytes)) {
      return refusal(refused);
    }
    if (!wanted) return StreamEnd{};
    if (is_over) return StreamEnd{.is_whole = reader.is_whole(), .summary = without_controls(reader.summary())};
  }
}

// Our API's sentence, if the body has one.
auto Client::refusal(const std::string& body) const -> Failure {
  const auto told = nlohmann::json::parse(body, nullptr, false);
  const bool ours = told.is_object() && told.contains("error") && told["error"].is_string();
  std::string text = ours ? told["error"].get<std::string>() : fmt::format("the API at {} refused: {}", url_, body);
  return failure(without_controls(std::move(text)));
}

auto Client::lines(const std::string& path, const std::function<bool(std::string_view)>& take) const -> Result<void> {
  std::string buffer;
  std::optional<std::string> problem;
  const auto take_lines = [&](std::string_view bytes) {
    buffer += bytes;
    for (auto end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n')) {
      const std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      if (judge_json_shape(line) == JsonShape::too_deep) problem = nested_too_deep(url_);
      if (problem || !take(line)) return false;
    }
    if (buffer.size() > most_line_bytes) problem = fmt::format("the API at {} sent a line longer than 16 MiB", url_);
    return !problem;
  };
  const auto ended = stream(
      path, [] {}, take_lines);
  if (!ended) return tl::make_unexpected(ended.error());
  if (problem) return failure(*problem);
  return {};
}

}  // namespace weir::api
