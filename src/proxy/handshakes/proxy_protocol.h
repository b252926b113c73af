#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>

#include "base/address.h"
#include "base/result.h"
#include "proxy/handshake.h"

namespace weir::proxy {

// A PROXY header as it was read: HAProxy's doc/proxy-protocol.txt, versions 1 and 2.
struct ProxyHeader {
  std::optional<Address> client;  // none: the sender speaks for itself, or for a family that has no address here
  std::size_t size = 0;           // bytes of the header that have to be there for this
  std::size_t rest = 0;           // bytes that still belong to it and say nothing to us
};
struct HeaderIncomplete {};

// Reads the header at the beginning of `bytes`. An Error is a sentence about what came instead.
[[nodiscard]] auto read_proxy_header(std::span<const std::byte> bytes)
    -> Result<std::variant<HeaderIncomplete, ProxyHeader>>;

// The client's first bytes say who is behind it; they are not part of the stream. As the protocol demands, a
// client that says nothing of the kind is not served: whoever can reach the port could claim any address.
class ProxyProtocol final : public Handshake {
 public:
  void on_accepted(HandshakeContext& context) override;
  void on_bytes(HandshakeContext& context, LegName from) override;

 private:
  std::size_t rest_ = 0;
  bool is_read_ = false;
};

}  // namespace weir::proxy
