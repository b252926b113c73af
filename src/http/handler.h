// How a request comes to be answered, at once or in a later turn of the loop.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "http/message.h"

namespace weir::http {

class Responder;

// Who waits for a response: a connection, or a test. It may stop waiting at any time. Loop thread only.
class ResponseReceiver {
 public:
  ResponseReceiver(const ResponseReceiver&) = delete;
  auto operator=(const ResponseReceiver&) -> ResponseReceiver& = delete;

 protected:
  ResponseReceiver() = default;
  ~ResponseReceiver() { stop_waiting(); }

  // At most one of these two is called for each responder.
  virtual void on_response(Response response) = 0;
  virtual void on_no_response() = 0;  // the responder was destroyed without an answer

  // The one that is waited for from now on. There is none before.
  [[nodiscard]] auto make_responder() -> Responder;
  // The responder, wherever it is, answers nobody from now on.
  void stop_waiting();
  [[nodiscard]] auto is_waiting() const -> bool { return responder_ != nullptr; }

 private:
  friend class Responder;
  Responder* responder_ = nullptr;
};

// The right and the duty to answer one request: has one owner, can be moved and kept, and stays safe when the
// connection ends first. Destroyed without an answer, the client gets status 500. Loop thread only: other threads
// post to the loop. Where a std::function has to hold it, put it into a shared_ptr.
class Responder {
 public:
  Responder(Responder&& other) noexcept : receiver_(std::exchange(other.receiver_, nullptr)) { tell_where(); }
  auto operator=(Responder&& other) noexcept -> Responder& {
    if (this != &other) {
      drop();
      receiver_ = std::exchange(other.receiver_, nullptr);
      tell_where();
    }
    return *this;
  }
  Responder(const Responder&) = delete;
  auto operator=(const Responder&) -> Responder& = delete;
  ~Responder() { drop(); }

  // The first call answers; later ones do nothing, nor does any when nobody waits any more.
  void answer(Response response) {
    if (ResponseReceiver* receiver = detach()) receiver->on_response(std::move(response));
  }
  // False: it was answered, or the connection has ended, and all further work is for nobody.
  [[nodiscard]] auto is_awaited() const -> bool { return receiver_ != nullptr; }

 private:
  friend class ResponseReceiver;
  explicit Responder(ResponseReceiver& receiver) : receiver_(&receiver) { tell_where(); }
  void tell_where() {
    if (receiver_ != nullptr) receiver_->responder_ = this;
  }
  auto detach() -> ResponseReceiver* {
    if (receiver_ != nullptr) receiver_->responder_ = nullptr;
    return std::exchange(receiver_, nullptr);
  }
  void drop() {
    // mutant: http-dropped-responder-says-nothing
    if (ResponseReceiver* receiver = detach()) receiver->on_no_response();
  }

  ResponseReceiver* receiver_;
};

inline auto ResponseReceiver::make_responder() -> Responder { return Responder(*this); }
inline void ResponseReceiver::stop_waiting() {
  if (responder_ != nullptr) responder_->receiver_ = nullptr;  // mutant: http-answer-to-a-dead-connection
  responder_ = nullptr;
}

// Answers one request, on the loop's thread. It returns soon, for the loop serves everybody else too; what takes
// longer answers later. An exception is logged and answered with status 500.
using Handler = std::function<void(Request request, Responder responder)>;

// Judges a request by its head, before its body is kept: the answer that refuses it, or none. Loop thread only.
using Gate = std::function<std::optional<Response>(const Request& head)>;

}  // namespace weir::http
