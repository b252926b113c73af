#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cni/host_local/lease_folder.h"
#include "cni/host_local/lease_table.h"
#include "cni/spec/error.h"
#include "cni/spec/ip.h"
#include "cni/spec/plugin.h"

namespace weir::cni::host_local {

// The leases of one network: which addresses are given, and to whom. The truth are the files of its LeaseFolder, whose
// lock is held for the life of the object; <dataDir>/.weir/<network> beside them holds our LeaseTable, which answers
// without reading them for as long as the folder proves that nobody else has changed it. One thread.
class Store {
 public:
  using Options = LeaseFolder::Options;
  // Makes the folders.
  [[nodiscard]] static auto open(const Options& options) -> Result<Store>;
  // nullopt if there is no store of this network; makes nothing.
  [[nodiscard]] static auto open_existing(const Options& options) -> Result<std::optional<Store>>;
  Store(Store&&) noexcept = default;
  auto operator=(Store&&) -> Store& = delete;
  Store(const Store&) = delete;
  auto operator=(const Store&) -> Store& = delete;
  ~Store();  // proves the table

  // False if the address is leased already. `set` is the range set's number, for last_reserved_ip.
  [[nodiscard]] auto reserve(const Ip& ip, const Attachment& owner, std::size_t set) -> Result<bool>;
  [[nodiscard]] auto is_leased(const Ip& ip) const -> bool { return table_.is_leased(ip); }
  [[nodiscard]] auto last_reserved(std::size_t set) const -> std::optional<Ip> { return folder_.last_reserved(set); }
  // Reads every file, unless that has been done: one that was emptied or written over in place leaves the folder, by
  // which the table is known to hold, as it was. False if nothing new was seen. For an answer that would be a
  // refusal.
  auto look_again() -> bool;

  // Leases of the attachment, and those that an older plugin gave its container without naming an interface. In
  // the order of their files' names, in which the reference finds them.
  [[nodiscard]] auto leases_of(const Attachment& owner) const -> std::vector<Ip>;
  // The same, and looks again if the table knows of none.
  [[nodiscard]] auto has_lease(const Attachment& owner) -> bool;
  // Those of the attachment; if there are none, the older plugin's. Looks again if the table knows of none. Unlike in
  // the reference, a file that cannot be deleted, or read, so that nobody knows whose it is, is an error: the address
  // would be lost. Goes on after one, and returns the first. What is gone already is none.
  [[nodiscard]] auto release(const Attachment& owner) -> Result<void>;
  [[nodiscard]] auto release(const Ip& ip, const Attachment& owner) -> Result<void>;
  // Those that name the attachment with its interface, as far as the table knows them.
  [[nodiscard]] auto release_own(const Attachment& owner) -> Result<void>;
  [[nodiscard]] auto own_leases_of(const Attachment& owner) const -> std::vector<Ip>;
  [[nodiscard]] auto is_of_gone_namespace(const Ip& ip) const -> bool { return folder_.is_of_gone_namespace(ip); }
  // Everything that belongs to none of `valid`, and empty files; an older lease belongs to any interface. Goes on after
  // an error, and returns the first.
  [[nodiscard]] auto release_all_but(const std::vector<Attachment>& valid) -> Result<void>;
  // Whose it is; without a container if nobody's.
  [[nodiscard]] auto owner_of(const Ip& ip) const -> Attachment;
  // Every leased address.
  [[nodiscard]] auto all() const -> std::vector<Ip> { return table_.all(); }

 private:
  Store() = default;
  static auto on(const Options& options, LeaseFolder folder) -> Result<Store>;
  auto load_table() -> Result<void>;
  auto rebuild() -> Result<void>;
  [[nodiscard]] auto release_known(const Attachment& owner) -> Result<bool>;
  [[nodiscard]] auto release_known(const std::string& owner) -> Result<bool>;
  [[nodiscard]] auto current_proof() const -> std::optional<LeaseTable::Proof>;
  [[nodiscard]] auto owned_by(const std::string& owner) const -> std::vector<Ip>;
  [[nodiscard]] auto remove(const Ip& ip, const std::string& owner) -> Result<void>;
  auto change() -> void;

  Options options_;
  LeaseFolder folder_;
  LeaseTable table_;
  bool changed_ = false;
  bool rebuilt_ = false;         // every file has been read
  std::optional<Error> unread_;  // then, of the first that could not be
};

}  // namespace weir::cni::host_local
