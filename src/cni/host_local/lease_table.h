#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "cni/spec/ip.h"

namespace weir::cni::host_local {

// Which addresses are leased, and by whom: a hash table over the files of a store, in a file of its own
// that is mapped (or, where no such file can be had, in memory). It answers without reading the store, so
// that an ADD costs the same at 20,000 leases as at none; the store's files stay the truth, and owners
// found here are compared with them.
//
// The file is trusted only while `Proof` is what we left in it. A change first spoils the proof, so that a
// process that is killed half way leaves a table that nobody believes, and it is built again.
class LeaseTable {
 public:
  // What the store's directory and the machine looked like when the table was last right.
  struct Proof {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t seconds = 0;  // the directory's modification time; we set it to a value that no clock shows
    std::int64_t nanoseconds = 0;
    std::int64_t changed_seconds = 0;  // its change time, which nobody can set: a modification time can be put back
    std::int64_t changed_nanoseconds = 0;
    std::uint64_t boot = 0;       // a hash of the kernel's boot id: a crash may have emptied files
    std::uint64_t reclaimed = 0;  // 1 if leases of earlier boots were looked for
    auto operator==(const Proof&) const -> bool = default;
  };

  LeaseTable() = default;  // in memory, empty
  // Maps a file in `folder` (0600, made if missing); falls back to memory.
  [[nodiscard]] static auto open(int folder, const std::string& name) -> LeaseTable;
  LeaseTable(LeaseTable&& other) noexcept;
  auto operator=(LeaseTable&& other) noexcept -> LeaseTable&;
  LeaseTable(const LeaseTable&) = delete;
  auto operator=(const LeaseTable&) -> LeaseTable& = delete;
  ~LeaseTable();

  // The proof it carries; nullptr if it is empty, damaged or was left in the middle of a change.
  [[nodiscard]] auto proof() const -> const Proof*;
  auto spoil() -> void;                  // before a change
  auto prove(const Proof& now) -> void;  // after it

  auto clear() -> void;
  auto add(const Ip& ip, std::string_view owner) -> void;
  auto remove(const Ip& ip, std::string_view owner) -> void;
  [[nodiscard]] auto is_leased(const Ip& ip) const -> bool;
  // Addresses that `owner` may have: a hash may collide, so compare with the file.
  [[nodiscard]] auto candidates(std::string_view owner) const -> std::vector<Ip>;
  [[nodiscard]] auto all() const -> std::vector<Ip>;

 private:
  struct Slot {
    std::uint64_t key = 0;  // 0 free, 1 was used once, else a hash of an owner or an address
    std::array<std::uint8_t, 16> ip{};
  };
  struct Header;

  [[nodiscard]] auto header() const -> Header*;
  [[nodiscard]] auto slots() const -> std::span<Slot>;
  auto map(std::uint64_t capacity) -> bool;
  auto insert(std::uint64_t key, const std::array<std::uint8_t, 16>& ip) -> void;
  auto erase(std::uint64_t key, const std::array<std::uint8_t, 16>& ip) -> void;
  auto grow() -> void;
  auto unmap() -> void;

  Fd file_;  // none: the table is in memory
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace weir::cni::host_local
