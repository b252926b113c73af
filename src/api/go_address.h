// Listening addresses as toxiproxy, which is written in Go, reads, shows and refuses them.
#pragma once

#include <string>
#include <string_view>

#include "base/listen_address.h"
#include "base/result.h"
#include "base/upstream_address.h"

namespace weir::api {

// "host:port" by the rules of Go's net.Listen("tcp", ...): no host, 0.0.0.0 and [::] are all addresses of
// both families, localhost is 127.0.0.1, no text at all is any port on all addresses. Another
// name is looked for in /etc/hosts alone, as no answer may wait for DNS. The error is Go's own text, without "listen
// tcp: ".
[[nodiscard]] auto parse_go_listen(std::string_view text) -> Result<ListenAddress>;
// Any non-empty text: what cannot be dialled fails when a client comes. Unix sockets cannot.
[[nodiscard]] auto parse_go_upstream(std::string_view text) -> UpstreamAddress;
// "listen tcp 127.0.0.1:3310: bind: address already in use".
[[nodiscard]] auto go_listen_error(const ListenAddress& listen, const Error& error) -> std::string;

}  // namespace weir::api
