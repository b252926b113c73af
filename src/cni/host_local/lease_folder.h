#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "cni/spec/error.h"
#include "cni/spec/ip.h"

namespace weir::cni::host_local {

// The folder of one network's leases, in the reference's own layout, so that both may work on the same folder:
//   <dataDir>/<network>/10.1.0.2            "<container>\r\n<interface>", mode 0600; older: "<container>"
//   <dataDir>/<network>/last_reserved_ip.0  the last address given out of range set 0
//   <dataDir>/<network>/lock                flock(2)ed by whoever reads or writes
// A network's name never begins with a dot. What is not named as an address is no lease, and is not touched; nor is
// what is no regular file. Folders must be root's or our own, and closed to others (safe_files.h).
//
// The lock is held for the life of the object; it is waited for ten seconds, and then the error is "try again". A lease
// is published whole (O_TMPFILE, then linkat), so a process that is killed leaves none half written; an empty file
// under the lock is what the reference leaves when it is killed, and counts as free. One thread.
class LeaseFolder {
 public:
  struct Options {
    std::string data_dir;
    std::string network;
    bool reclaim_after_reboot = false;  // leases carry the stamp of this boot
    std::string netns = {};             // stamp of the namespace that leases are made for; "" if that is not known
  };
  // Makes the folders.
  [[nodiscard]] static auto open(const Options& options) -> Result<LeaseFolder>;
  // nullopt if there is no folder of this network; makes nothing.
  [[nodiscard]] static auto open_existing(const Options& options) -> Result<std::optional<LeaseFolder>>;
  LeaseFolder() = default;  // not open

  [[nodiscard]] auto is_open() const -> bool { return static_cast<bool>(lock_); }

  // The addresses that have a file, empty ones too.
  [[nodiscard]] auto addresses() const -> Result<std::vector<Ip>>;
  // What the file of `ip` says, without blanks around it; nullopt, and errno says why, if it cannot be read.
  [[nodiscard]] auto owner_text(const Ip& ip) const -> std::optional<std::string>;
  [[nodiscard]] auto is_empty(const Ip& ip) const -> bool;
  // False, without leases that may be reclaimed, for all.
  [[nodiscard]] auto is_of_earlier_boot(const Ip& ip) const -> bool;
  // Whether its stamp names a namespace that is no more.
  [[nodiscard]] auto is_of_gone_namespace(const Ip& ip) const -> bool;
  // Writes the file of `ip`; false if there is one.
  [[nodiscard]] auto publish(const Ip& ip, const std::string& owner) -> Result<bool>;
  // A file that is gone already is no error.
  [[nodiscard]] auto remove(const Ip& ip) -> Result<void>;

  // The last address given out of range set `set`.
  [[nodiscard]] auto last_reserved(std::size_t set) const -> std::optional<Ip>;
  [[nodiscard]] auto set_last_reserved(std::size_t set, const Ip& ip) -> Result<void>;

  // <dataDir>/.weir, of which the same holds as of the folder; none if it is not there or not safe.
  [[nodiscard]] auto beside() const -> Fd;
  [[nodiscard]] auto make_beside() const -> Fd;

  // What the kernel says of the folder itself.
  [[nodiscard]] auto about() const -> std::optional<struct stat>;
  // False if the file system refuses.
  auto set_modified(const timespec& time) -> bool;
  // What failed, at the file `name` or at the folder; errno says why.
  [[nodiscard]] auto wrong(std::string_view what, std::string_view name = {}) const -> Failure;

 private:
  [[nodiscard]] static auto locked(const Options& options, Fd data, const Fd& folder) -> Result<LeaseFolder>;
  [[nodiscard]] auto publish_by_name(const std::string& name, const std::string& content) -> Result<bool>;

  Options options_;
  Fd data_;  // dataDir
  Fd folder_;
  Fd lock_;
  std::string stamp_;  // what a lease that may be reclaimed after a reboot carries; "" if none does
};

}  // namespace weir::cni::host_local
