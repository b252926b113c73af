#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "event/close_cause.h"
#include "proxy/addresses.h"

namespace weir::proxy {

// What is known of a client when it has been accepted.
struct Accepted {
  SessionNumber number{};
  MonoTime time{};
  ClientAddress client;
  // These two are looked up only for a proxy that has a handshake, and the last is none if the kernel did
  // not redirect the client.
  std::optional<LocalAddress> local{};
  std::optional<OriginalDestination> original_destination{};
};

// What a handshake may do, within its own calls.
class HandshakeContext {
 public:
  [[nodiscard]] virtual auto now() const -> MonoTime = 0;
  [[nodiscard]] virtual auto accepted() const -> const Accepted& = 0;
  // Bytes of a leg that the handshake has not consumed, at most Handshake::limit. What is left when it is
  // done belongs to the stream.
  [[nodiscard]] virtual auto bytes(LegName from) const -> std::span<const std::byte> = 0;
  virtual void consume(LegName from, std::size_t bytes) = 0;
  // To the server only after on_connected(). All of it is sent before the stream begins.
  virtual void send(LegName to, std::span<const std::byte> bytes) = 0;
  // Who the client is from now on, in events, views and rules.
  virtual void show_client(ClientAddress client) = 0;
  // Goes on to the upstream, once: to `target`, or to the proxy's own if none; from `source`, or from the
  // address that the kernel chooses. Until on_connected() no leg is read.
  virtual void connect(std::optional<UpstreamTarget> target, std::optional<SourceAddress> source) = 0;
  // Ends the session when the proxy's timeout of this name has passed since then, unless another call or
  // the end of the handshake comes first. A timeout that is off waits for ever.
  virtual void wait(event::TimeoutName clock, MonoTime since) = 0;
  virtual void stop_waiting() = 0;
  // Ends the session. The client gets what was sent to it, and FIN behind that; if nothing was, it feels
  // what the proxy says for a failed connect.
  virtual void fail(event::CloseReason reason, std::optional<LegName> leg, std::string detail) = 0;
  // The stream begins. After on_connected() only.
  virtual void done() = 0;

 protected:
  ~HandshakeContext() = default;
};

// What is said between accept and the stream: a PROXY header, SOCKS, CONNECT, a TLS hello. Sans-io, one per
// session, from accept until the relay starts. Each call may use the context as it likes; nothing is called
// any more after fail() or done().
class Handshake {
 public:
  virtual ~Handshake() = default;
  virtual void on_accepted(HandshakeContext&) {}
  // More bytes of a leg have come.
  virtual void on_bytes(HandshakeContext& context, LegName from) = 0;
  // A leg has sent FIN.
  virtual void on_end(HandshakeContext& context, LegName from) {
    const bool client = from == LegName::client;
    context.fail(client ? event::CloseReason::client_fin : event::CloseReason::server_fin, from,
                 "before its handshake was complete");
  }
  virtual void on_connected(HandshakeContext& context, const ServerAddress&) { context.done(); }
  // The upstream cannot be reached. The session ends with that cause after this call, which may still send
  // a last word to the client.
  virtual void on_connect_failed(HandshakeContext&, const event::CloseCause&) {}

  // Bytes of one leg that a handshake may leave unconsumed.
  static constexpr std::size_t limit = 16 * 1024;
};

// Called on workers' threads, once a session.
using HandshakeFactory = std::function<std::unique_ptr<Handshake>()>;

// A handshake that a proxy's rules can name; a row of handshake_catalog().
struct HandshakeInfo {
  std::string name;  // "proxy_protocol"
  std::string doc;   // what the client has to say, in a few words
  HandshakeFactory make;
};

}  // namespace weir::proxy
