#pragma once

#include <memory>
#include <optional>
#include <string>

#include "control/http_server.h"

namespace weir::control {

// One connection of the HTTP server. Lives on the server's loop; ends itself and is freed at the end of
// that turn.
//
//   reading a request -> answering -> reading ... -> ended
//                            '-> streaming (no end but the connection's)
class HttpConnection final : public net::Disposable, private net::ReadyHandler, private net::Timer, private net::Rerun {
 public:
  HttpConnection(HttpServer& server, Fd socket);
  ~HttpConnection() override;

  // False: it could not be watched.
  [[nodiscard]] auto start() -> bool;
  // Idle ones end now, others with their answer.
  void stop();
  void end();
  // Since when it has had no complete request; nothing while it answers or streams.
  [[nodiscard]] auto waits_since() const -> std::optional<MonoTime>;

 private:
  struct Parser;  // Boost's, kept out of this header

  void on_ready(std::uint32_t events) override;
  void on_timer() override;
  void on_rerun() override;
  void read();
  // Feeds what was read to the parser, and answers what is complete.
  void digest();
  void answer();
  void send_answer(HttpAnswer answer, bool keep_alive, bool head);
  void refuse(int status, std::string_view why);
  void flush();
  void count_out(std::size_t bytes);
  void feed_stream();
  void arm(Nanos timeout);

  HttpServer& server_;
  Fd socket_;
  net::WatchToken token_;
  MonoTime idle_since_{};
  bool watched_ = false;
  bool ended_ = false;
  bool closing_ = false;     // after what is to be sent
  bool peer_ended_ = false;  // its FIN was read
  std::unique_ptr<Parser> parser_;
  std::string in_;
  std::string out_;
  std::size_t sent_ = 0;
  std::size_t counted_ = 0;  // of out_, in the server's sum
  std::unique_ptr<HttpStream> stream_;
};

}  // namespace weir::control
