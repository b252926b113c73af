// Files of packets, as tcpdump and Wireshark write them, through libpcap.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "record/packet.h"

namespace weir::record {

struct CapturedPacket {
  MonoTime time{};  // since 1970
  std::span<const std::byte> bytes{};
  std::size_t wire_length = 0;
};

// Waits until the descriptor of a pipe or a terminal can be read; false: it is to end there. Empty: read(2) waits.
using WaitToRead = std::function<bool(int descriptor)>;

// One file, or stdin ("-"). Its errors are whole sentences that name it.
class CaptureFile {
 public:
  [[nodiscard]] static auto open(const std::string& name, const WaitToRead& wait = {}) -> Result<CaptureFile>;
  CaptureFile(CaptureFile&& other) noexcept;
  auto operator=(CaptureFile&& other) noexcept -> CaptureFile&;
  ~CaptureFile();

  // The next packet, valid until the next call; none: the file has ended, or is damaged from here on.
  auto next() -> std::optional<CapturedPacket>;

  [[nodiscard]] auto name() const -> const std::string& { return name_; }
  [[nodiscard]] auto link() const -> Link { return link_; }
  [[nodiscard]] auto packets() const -> std::uint64_t { return packets_; }
  // Why it ended before its end, and where; empty: it did not.
  [[nodiscard]] auto damage() const -> const std::string& { return damage_; }

 private:
  struct Handle;
  CaptureFile(std::string name, std::unique_ptr<Handle> handle, Link link);
  std::string name_;
  std::unique_ptr<Handle> handle_;
  Link link_;
  std::uint64_t packets_ = 0;
  std::string damage_;
};

// Several files as one, in the order of their packets' times: the files of a rotated capture, or those of several
// points.
class CaptureFiles {
 public:
  // The error is the first file's that cannot be read at all.
  [[nodiscard]] static auto open(const std::vector<std::string>& names, const WaitToRead& wait = {})
      -> Result<CaptureFiles>;
  struct Next {
    CapturedPacket packet;
    Link link{};
  };
  // Valid until the next call.
  auto next() -> std::optional<Next>;
  // In the order of their first packets.
  [[nodiscard]] auto files() const -> const std::vector<CaptureFile>& { return files_; }

 private:
  explicit CaptureFiles(std::vector<CaptureFile> files);
  void queue(std::size_t file);

  std::vector<CaptureFile> files_;
  std::vector<std::optional<CapturedPacket>> first_;  // of each file, the next one
  std::vector<std::size_t> queue_;                    // files with a packet: a heap, the earliest at its front
  std::optional<std::size_t> last_;                   // the file whose packet was given out
};

}  // namespace weir::record
