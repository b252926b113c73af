// Bytes into requests. Parsing is Boost.Beast's, used without its sockets: it is kept up and has been attacked
// for years, where Debian's small alternative (http-parser) is given up by its authors.
#pragma once

#include <memory>
#include <string>

#include "http/limits.h"
#include "http/message.h"

namespace weir::http {

// Reads one request after the other. Bounded: it holds one request within the limits, and takes the header from
// its buffer only when that is complete.
class RequestParser {
 public:
  explicit RequestParser(const Limits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  auto operator=(const RequestParser&) -> RequestParser& = delete;

  enum class Progress : std::uint8_t {
    needs_more,      // all that can be taken now was taken
    has_head,        // head() can be looked at, before any more of the body is kept; said once, then feed again
    wants_continue,  // the client waits for a "100 Continue" before it sends the body; said once, then feed again
    complete,        // take() it; what is left in the buffer belongs to the next one
    failed,          // refusal() says why; nothing more can be read from this peer
  };
  // Takes what it can from the front of `bytes`.
  [[nodiscard]] auto feed(std::string& bytes) -> Progress;
  // Has a request begun that is not complete?
  [[nodiscard]] auto began() const -> bool { return began_; }

  // After has_head: the request as far as it is known, without its body.
  [[nodiscard]] auto head() const -> const Request&;
  // Nothing of the request is still to come.
  [[nodiscard]] auto is_complete() const -> bool;

  struct Taken {
    Request request;
    bool keep_alive = false;
    bool takes_chunks = true;  // HTTP/1.0 does not know a body in chunks
  };
  // The complete request; the next one is read from now on.
  [[nodiscard]] auto take() -> Taken;

  // A 4xx and one sentence for the client.
  struct Refusal {
    int status = 0;
    std::string why;
  };
  [[nodiscard]] auto refusal() const -> const Refusal& { return refusal_; }

 private:
  struct Beast;  // Boost's, kept out of this header
  [[nodiscard]] auto fail(int status, std::string why) -> Progress;
  [[nodiscard]] auto refuse_header() -> Progress;
  [[nodiscard]] auto judge_head() -> Progress;
  [[nodiscard]] auto header_is_too_long(std::string_view bytes) const -> bool;

  Limits limits_;
  std::unique_ptr<Beast> beast_;
  bool began_ = false;
  std::size_t header_taken_ = 0;  // by Beast, of a header that is not complete
  bool judged_ = false;           // the head
  bool skipped_line_ = false;     // in front of the request
  bool wants_continue_ = false;   // and has not been told of it
  bool keep_alive_ = false;
  Request head_;  // from has_head to complete
  Refusal refusal_;
};

}  // namespace weir::http
