#pragma once

#include <string>

namespace weir::cni::host_local {

// Which network namespace a lease was made for, kept as its extended attribute user.weir.netns, which changes nothing
// that the reference reads: "<boot> <cookie> <path>". A namespace's cookie (socket(7), SO_NETNS_COOKIE, Linux 5.14) is
// not given again before the next boot, unlike its inode's number.

// Of the namespace at `path`; "" where it cannot be told: no such namespace, an older kernel, no right to enter it.
[[nodiscard]] auto namespace_stamp(const std::string& path) -> std::string;
auto put_namespace_stamp(int file, const std::string& stamp) -> void;
// Of the lease `name` in `folder`; "" if it has none.
[[nodiscard]] auto namespace_stamp_of(int folder, const std::string& name) -> std::string;
// Whether the namespace of `stamp` is neither where it was nor that of `now`. False if that is not known.
[[nodiscard]] auto is_namespace_gone(const std::string& stamp, const std::string& now) -> bool;

}  // namespace weir::cni::host_local
