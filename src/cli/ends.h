// The two addresses of a proxy, as people type them.
#pragma once

#include <optional>
#include <string>

#include "base/listen_address.h"
#include "base/result.h"
#include "base/upstream_address.h"

namespace weir::cli {

// The words that are meant: "6379" is localhost:6379, and what is an address in a URL is taken out of it:
// "http://host/" is host:80, "tcp://:8888" is :8888. What is neither stays as it is. An Error: a scheme without a port
// that is known.
[[nodiscard]] auto upstream_word(const std::string& text) -> Result<std::string>;
[[nodiscard]] auto listen_word(const std::string& text) -> Result<std::string>;

struct Ends {
  ListenAddress listen;
  UpstreamAddress upstream;
};
// LISTEN and UPSTREAM. With one word alone that says host:port, it is the upstream, and the kernel picks a port of
// 127.0.0.1. The error names the argument, and what to type for this command.
[[nodiscard]] auto parse_ends(const std::string& command, const std::string& listen,
                              const std::optional<std::string>& upstream) -> Result<Ends>;

}  // namespace weir::cli
