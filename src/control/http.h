// HTTP/1.1 requests and answers as values, and how handlers take and give them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace weir::control {

struct HttpRequest {
  std::string method;                          // as sent: "GET"
  std::string path;                            // without the query, still percent-encoded
  std::map<std::string, std::string> query;    // decoded
  std::map<std::string, std::string> headers;  // names in lower case; repeated ones joined by ", "
  std::string body;

  // Empty if it is not there. `name` in lower case.
  [[nodiscard]] auto header(const std::string& name) const -> std::string_view;
};

// A body without an end: what is fed is sent as it comes (server-sent events). The connection owns it;
// its end is the end of the connection. Loop thread only.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // Bytes to send first, and from now on by feeder().
  [[nodiscard]] virtual auto begin(std::function<void()> wake) -> std::string = 0;
  // More to send, at most about `room` bytes; empty: nothing now.
  [[nodiscard]] virtual auto more(std::size_t room) -> std::string = 0;
  // How long the peer's kernel may leave what is sent unacknowledged before the connection counts as gone;
  // none: as long as the system lets it.
  [[nodiscard]] virtual auto patience() const -> std::optional<Nanos> { return std::nullopt; }
};

struct HttpAnswer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;  // beside Content-Length, Connection and Date
  std::string body;
  std::unique_ptr<HttpStream> stream;  // instead of the body

  void set(std::string name, std::string value) { headers.emplace_back(std::move(name), std::move(value)); }
};

// "a%20b" as "a b"; a malformed escape stays as it is.
[[nodiscard]] auto percent_decode(std::string_view text) -> std::string;
[[nodiscard]] auto status_text(int status) -> std::string_view;

// Answers one request; on the loop's thread, and soon: the loop serves everybody else too.
using HttpHandler = std::function<HttpAnswer(const HttpRequest&)>;

}  // namespace weir::control
