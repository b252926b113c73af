#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/out_of_memory.h"
#include "http/handler.h"
#include "http/limits.h"
#include "http/parser.h"
#include "http/transport.h"
#include "net/event_loop.h"

namespace weir::http {

class Connection;

// What the connections of a server share. It outlives them.
struct ServerContext {
  net::EventLoop& loop;
  Log& log;
  Handler handler;
  Gate gate;  // or none
  Limits limits;
  std::function<void(Connection&)> on_end;  // once for each; the connection must live to the end of the turn
  std::function<void()> on_answered;        // an answer is out
  std::size_t waiting_bytes = 0;            // of responses that are not sent yet; what many share counts once
  std::map<const std::string*, std::size_t> sharers{};  // how many have each piece of a shared body still to send
  bool stopping = false;
};

// One connection of the HTTP server. It answers one request at a time, in the order in which they came; what a client
// sends before it has its answer waits, and beyond the header's limit it is not read. Loop thread only.
//
//   reading -> handling -> writing -> reading ...
//                 |           '-> lingering -> ended     the last answer is out; the peer's end is waited for
//                 '-> streaming -> ended                 a body without an end; or, when it is over, writing
//
// Any phase ends when its clock runs out (Limits), when the peer is gone, or by end(); and where memory runs out: in a
// handler the client gets status 503, anywhere else the connection ends.
class Connection final : public net::Disposable,
                         private net::ReadyHandler,
                         private net::Timer,
                         private net::Rerun,
                         private ResponseReceiver {
 public:
  Connection(ServerContext& server, std::unique_ptr<Transport> transport);
  ~Connection() override;

  // False: it could not be watched.
  [[nodiscard]] auto start() -> bool;
  // Idle ones and streams end now, others after the answer to the request that they have begun.
  void stop();
  void end();
  // Who goes first when a place is needed: the lowest, and of two the one that has waited for longer.
  enum class Claim : std::uint8_t {
    stranger,    // no request of it has passed the gate, and it has none that is complete
    idle,        // it has asked before
    deaf,        // it takes nothing of its answer, for Limits::deaf_after at least
    none_given,  // it is being served: it stays
  };
  struct Place {
    Claim claim = Claim::none_given;
    MonoTime since{};
    auto operator<=>(const Place&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 mistakes it
  };
  [[nodiscard]] auto place() const -> Place;
  // A request is being handled, or its answer sent.
  [[nodiscard]] auto is_answering() const -> bool { return phase_ == Phase::handling || phase_ == Phase::writing; }
  // Of what was read and of what is to be sent; what is shared with others is not in it.
  [[nodiscard]] auto held_bytes() const -> std::size_t { return in_.capacity() + out_.capacity(); }

 private:
  enum class Phase : std::uint8_t { reading, handling, writing, streaming, lingering, ended };

  void on_ready(std::uint32_t events) override;
  void on_timer() override;
  void on_rerun() override;
  void on_response(Response response) override;
  void on_no_response() override;

  // Runs one step, from an entry that others call.
  template <class Step>
  void guarded(Step step) {
    if (!contained(step)) end();
  }
  void go_on();
  void time_is_over();
  void read();
  // Goes on with what was read. One request a call, so that a client that sends many at once waits for its turn.
  void digest();
  [[nodiscard]] auto passes_gate() -> bool;
  void call_handler();
  void send_no_answer();
  void refuse(int status, std::string_view why);
  void send_response(Response response);
  void send_stream(std::unique_ptr<BodyStream> stream);
  void feed_stream();
  void put_piece(std::string_view piece);
  void end_stream(const Fields& trailer);
  void flush();
  void all_is_sent();
  void count_waiting(std::size_t bytes);
  void share(BodyPieces body);
  void release_shared();
  void release_piece();
  void count_sent(std::size_t bytes);
  [[nodiscard]] auto rest() const -> std::string_view;
  void arm(Nanos timeout);

  ServerContext& server_;
  std::unique_ptr<Transport> transport_;
  RequestParser parser_;
  MonoTime idle_since_{};  // reading: since there was a complete request; writing: since the peer took a byte
  Phase phase_ = Phase::reading;
  bool is_stranger_ = true;                  // none of its requests has passed the gate
  bool keep_alive_ = true;                   // after the answer that is under way
  bool head_ = false;                        // its body is not sent
  bool takes_chunks_ = true;                 // whoever asked
  bool chunked_ = false;                     // the stream is sent so
  bool in_handler_ = false;                  // the handler is being called
  bool peer_ended_ = false;                  // its FIN was read
  std::uint64_t memory_ran_out_before_ = 0;  // so often, when the request came to its handler
  std::string what_;                         // of the request that is handled, for the log: "GET /proxies"
  std::string in_;                           // read and not parsed
  std::string out_;
  BodyPieces shared_;           // is sent after out_; those that are sent are null
  std::size_t piece_ = 0;       // the first of it that is not sent
  std::size_t piece_sent_ = 0;  // of that piece
  std::size_t sent_ = 0;        // of out_
  std::size_t counted_ = 0;     // of out_, in the server's sum
  std::unique_ptr<BodyStream> stream_;
};

}  // namespace weir::http
