#pragma once

#include <string>

#include "cni/spec/result.h"

namespace weir::cni::host_local {

// The nameserver, domain, search and options lines of a resolv.conf(5); other lines are passed over.
[[nodiscard]] auto read_resolv_conf(const std::string& path) -> Result<Dns>;
[[nodiscard]] auto parse_resolv_conf(std::string_view text) -> Dns;

}  // namespace weir::cni::host_local
