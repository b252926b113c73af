#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace weir::cni::host_local {

// A hash of the kernel's boot id (random(4)), which changes with every boot; nullopt without /proc.
[[nodiscard]] auto this_boot_hash() -> std::optional<std::uint64_t>;

// "<machine id> <boot id>", or "" where one of them cannot be read. A lease may carry it as the extended
// attribute user.weir.boot, which changes nothing that the reference reads. Only leases that carry this
// machine's id and another boot's are ever reclaimed: a store on shared storage is left alone.
[[nodiscard]] auto this_boot_stamp() -> std::string;
auto put_stamp(int file, const std::string& stamp) -> void;
[[nodiscard]] auto is_of_earlier_boot(int folder, const std::string& name, const std::string& stamp) -> bool;

}  // namespace weir::cni::host_local
