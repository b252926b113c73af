#include "cni/host_local/lease_table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>

#include "cni/host_local/safe_files.h"

namespace weir::cni::host_local {

struct LeaseTable::Header {
  std::uint64_t magic = 0;
  std::uint64_t capacity = 0;  // slots; a power of two
  std::uint64_t used = 0;      // slots that are not free
  std::uint64_t proven = 0;    // 1: `proof` holds
  Proof proof;
};

namespace {

constexpr std::uint64_t magic = 0x32584449'52494557;  // "WEIRIDX2"
constexpr std::uint64_t least_capacity = 128;
constexpr std::uint64_t most_capacity = 1U << 28U;

using Bytes = std::array<std::uint8_t, 16>;

// FNV-1a, with the kind in front: owners and addresses share the table.
auto hash(char kind, std::string_view bytes) -> std::uint64_t {
  std::uint64_t value = 0xcbf29ce484222325U;
  const auto mix = [&](unsigned char byte) { value = (value ^ byte) * 0x100000001b3U; };
  mix(static_cast<unsigned char>(kind));
  for (const char c : bytes) mix(static_cast<unsigned char>(c));
  value ^= value >> 29U;  // FNV's low bits of short inputs are poor
  return value < 2 ? value + 2 : value;
}

// Sixteen bytes for either family; IPv4 in the form that RFC 4291 calls mapped, which no IPv6 lease has.
auto to_bytes(const Ip& ip) -> Bytes {
  Bytes out{};
  const auto bytes = ip.bytes();
  if (ip.is_v4()) out[10] = out[11] = 0xff;
  std::copy(bytes.begin(), bytes.end(), out.end() - static_cast<std::ptrdiff_t>(bytes.size()));
  return out;
}

auto key_of(const Bytes& ip) -> std::uint64_t {
  std::array<char, 16> chars{};
  std::copy(ip.begin(), ip.end(), chars.begin());
  return hash('a', {chars.data(), chars.size()});
}

}  // namespace

LeaseTable::LeaseTable(LeaseTable&& other) noexcept
    : file_(std::move(other.file_)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

auto LeaseTable::operator=(LeaseTable&& other) noexcept -> LeaseTable& {
  if (this != &other) {
    unmap();
    file_ = std::move(other.file_);
    memory_ = std::exchange(other.memory_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

LeaseTable::~LeaseTable() { unmap(); }

auto LeaseTable::unmap() -> void {
  if (memory_ != nullptr) ::munmap(memory_, size_);
  memory_ = nullptr;
  size_ = 0;
}

auto LeaseTable::header() const -> Header* { return static_cast<Header*>(memory_); }

auto LeaseTable::slots() const -> std::span<Slot> {
  if (memory_ == nullptr) return {};
  auto* first = reinterpret_cast<Slot*>(static_cast<char*>(memory_) + sizeof(Header));
  return {first, (size_ - sizeof(Header)) / sizeof(Slot)};
}

namespace {

// Makes the file `size` bytes long with a block behind each: a write into a hole of a mapped file is a SIGBUS where
// the disk is full. A file that has all its blocks is asked for nothing: 0.2 ms with 3 MiB on tmpfs.
auto reserve(int file, off_t size) -> bool {
  struct stat about {};
  if (::ftruncate(file, size) != 0 || ::fstat(file, &about) != 0) return false;
  constexpr off_t block = 512;  // stat(2)
  return about.st_blocks * block >= size || ::posix_fallocate(file, 0, size) == 0;
}

}  // namespace

// Maps memory for `capacity` slots, of the file if there is one. What the file held stays.
auto LeaseTable::map(std::uint64_t capacity) -> bool {
  unmap();
  const std::size_t size = sizeof(Header) + capacity * sizeof(Slot);
  if (file_ && !reserve(file_.get(), static_cast<off_t>(size))) {
    (void)!::ftruncate(file_.get(), 0);
    file_.reset();
  }
  void* memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, file_ ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, file_.get(), 0);
  if (memory == MAP_FAILED) return false;
  memory_ = memory;
  size_ = size;
  return true;
}

auto LeaseTable::open(int folder, const std::string& name) -> LeaseTable {
  LeaseTable table;
  // Somebody else's would say whatever they like.
  auto file = open_file(folder, name, O_RDWR | O_CREAT, 0600);
  if (!file) return {};
  table.file_ = std::move(*file);
  struct stat about {};
  if (::fstat(table.file_.get(), &about) != 0) return {};
  const auto size = static_cast<std::uint64_t>(about.st_size);
  const auto capacity = size < sizeof(Header) ? 0 : (size - sizeof(Header)) / sizeof(Slot);
  // A file that cannot be a table is mapped all the same, and clear() makes one of it.
  if (std::has_single_bit(capacity) && capacity >= least_capacity && capacity <= most_capacity &&
      size == sizeof(Header) + capacity * sizeof(Slot) && table.map(capacity)) {
    if (table.header()->magic != magic || table.header()->capacity != capacity) table.header()->proven = 0;
  }
  return table;
}

auto LeaseTable::proof() const -> const Proof* {
  return memory_ == nullptr || header()->proven != 1 ? nullptr : &header()->proof;
}

auto LeaseTable::spoil() -> void {
  if (memory_ != nullptr) header()->proven = 0;
}

auto LeaseTable::prove(const Proof& now) -> void {
  if (memory_ == nullptr) return;
  header()->proof = now;
  header()->proven = 1;
}

auto LeaseTable::clear() -> void {
  if (file_ && ::ftruncate(file_.get(), 0) != 0) file_.reset();
  if (!map(least_capacity)) return;
  header()->magic = magic;
  header()->capacity = least_capacity;
}

auto LeaseTable::grow() -> void {
  std::vector<Slot> live;
  for (const auto& slot : slots()) {
    if (slot.key > 1) live.push_back(slot);
  }
  const auto capacity = std::bit_ceil(std::max<std::uint64_t>(least_capacity, live.size() * 3));
  if (file_ && ::ftruncate(file_.get(), 0) != 0) file_.reset();
  if (!map(capacity)) return;
  header()->magic = magic;
  header()->capacity = capacity;
  for (const auto& slot : live) insert(slot.key, slot.ip);
}

auto LeaseTable::insert(std::uint64_t key, const Bytes& ip) -> void {
  if (memory_ == nullptr) clear();
  if (memory_ != nullptr && (header()->used + 1) * 10 > slots().size() * 7) grow();
  const auto table = slots();
  if (table.empty()) return;
  for (std::size_t i = key & (table.size() - 1), tries = 0; tries < table.size();
       ++tries, i = (i + 1) & (table.size() - 1)) {
    if (table[i].key > 1) continue;
    if (table[i].key == 0) ++header()->used;
    table[i] = Slot{key, ip};
    return;
  }
}

auto LeaseTable::erase(std::uint64_t key, const Bytes& ip) -> void {
  const auto table = slots();
  if (table.empty()) return;
  for (std::size_t i = key & (table.size() - 1), tries = 0; tries < table.size();
       ++tries, i = (i + 1) & (table.size() - 1)) {
    if (table[i].key == 0) return;
    if (table[i].key != key || table[i].ip != ip) continue;
    table[i] = Slot{1, {}};
    return;
  }
}

auto LeaseTable::add(const Ip& ip, std::string_view owner) -> void {
  const auto bytes = to_bytes(ip);
  insert(key_of(bytes), bytes);
  insert(hash('o', owner), bytes);
}

auto LeaseTable::remove(const Ip& ip, std::string_view owner) -> void {
  const auto bytes = to_bytes(ip);
  erase(key_of(bytes), bytes);
  erase(hash('o', owner), bytes);
}

auto LeaseTable::is_leased(const Ip& ip) const -> bool {
  const auto bytes = to_bytes(ip);
  const auto key = key_of(bytes);
  const auto table = slots();
  for (std::size_t i = key & (table.size() - 1), tries = 0; tries < table.size();
       ++tries, i = (i + 1) & (table.size() - 1)) {
    if (table[i].key == 0) return false;
    if (table[i].key == key && table[i].ip == bytes) return true;
  }
  return false;
}

auto LeaseTable::candidates(std::string_view owner) const -> std::vector<Ip> {
  std::vector<Ip> found;
  const auto key = hash('o', owner);
  const auto table = slots();
  for (std::size_t i = key & (table.size() - 1), tries = 0; tries < table.size();
       ++tries, i = (i + 1) & (table.size() - 1)) {
    if (table[i].key == 0) break;
    if (table[i].key == key) found.push_back(Ip::v6(table[i].ip));
  }
  return found;
}

auto LeaseTable::all() const -> std::vector<Ip> {
  std::vector<Ip> found;
  for (const auto& slot : slots()) {
    if (slot.key > 1 && slot.key == key_of(slot.ip)) found.push_back(Ip::v6(slot.ip));
  }
  return found;
}

}  // namespace weir::cni::host_local
