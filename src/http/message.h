// Room http/, floor 3: HTTP/1.1 on net/'s loop - parser, connections, server, event streams, static files. It knows
// nothing of proxies, JSON or the API. Includes base/ and net/ only. Start with this file, then handler.h, server.h
// and connection.h.
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

namespace weir::http {

struct Request {
  std::string method{};                          // as sent: "GET"
  std::string path{};                            // without the query, still percent-encoded
  std::map<std::string, std::string> query{};    // decoded
  std::map<std::string, std::string> headers{};  // names in lower case; repeated ones joined by ", "
  std::string body{};
  std::string peer{};  // the client's address; of a Unix socket's client "process 1234"; empty: it is not known

  // Empty if it is not there. `name` in lower case.
  [[nodiscard]] auto header(const std::string& name) const -> std::string_view;
};

// Names and values of header fields, in order.
using Fields = std::vector<std::pair<std::string, std::string>>;

// A body that is sent as it comes, such as server-sent events. The connection owns it, and ends with it. Loop thread
// only.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  // May it end by itself? Then it is sent in chunks (RFC 9112, 7.1), so that its reader can tell an end from a cut.
  // Asked once, before begin().
  [[nodiscard]] virtual auto can_end() const -> bool { return false; }
  // Called once: bytes to send first. `wake` tells the connection that more() has more; it may be called as
  // long as the stream lives.
  [[nodiscard]] virtual auto begin(std::function<void()> wake) -> std::string = 0;
  // More to send, at most about `room` bytes; empty: nothing now.
  [[nodiscard]] virtual auto more(std::size_t room) -> std::string = 0;
  // Asked when more() gave nothing. The stream is over: the fields of its trailer, or none of them. Nothing: it goes
  // on.
  [[nodiscard]] virtual auto ended() -> std::optional<Fields> { return std::nullopt; }
  // How long the peer's kernel may leave what is sent unacknowledged before the connection counts as gone;
  // none: as long as the system lets it.
  [[nodiscard]] virtual auto patience() const -> std::optional<Nanos> { return std::nullopt; }
  // What is sent when nothing else was for so long (Limits::stream_silence) that boxes on the way might cut the
  // connection, and that its reader ignores; empty: nothing.
  [[nodiscard]] virtual auto filler() const -> std::string_view { return {}; }
};

// A body in pieces that never change, for an answer that many get: all of them send the same memory, and a piece is
// given back when the last of them has sent it.
using BodyPieces = std::vector<std::shared_ptr<const std::string>>;

struct Response {
  int status = 200;
  Fields headers{};  // beside Content-Length, Transfer-Encoding and Connection
  std::string body{};
  std::unique_ptr<BodyStream> stream{};  // instead of the body
  BodyPieces shared_body = {};           // instead of the body, unless it is empty

  [[nodiscard]] auto body_size() const -> std::size_t;
  // A copy of the whole body, however it is kept.
  [[nodiscard]] auto text() const -> std::string;

  void set(std::string name, std::string value);
};

// "Not Found" for 404; "Unknown" for a status that nobody here answers.
[[nodiscard]] auto status_text(int status) -> std::string_view;

}  // namespace weir::http
