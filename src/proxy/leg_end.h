#pragma once

#include <memory>

#include "base/fd.h"
#include "proxy/endpoint.h"
#include "proxy/leg_stamps.h"

namespace weir::proxy {

// A kernel pipe for splice(2), and how many bytes it holds.
class KernelPipe {
 public:
  // None when descriptors or pipe memory are short: the caller copies instead.
  [[nodiscard]] static auto create() -> std::unique_ptr<KernelPipe>;
  [[nodiscard]] auto bytes() const -> std::size_t { return bytes_; }

 private:
  friend class LegEnd;
  KernelPipe(Fd read_end, Fd write_end) : read_end_(std::move(read_end)), write_end_(std::move(write_end)) {}
  Fd read_end_;
  Fd write_end_;
  std::size_t bytes_ = 0;
};

// What few legs have, and only for as long as somebody asks for it.
struct LegExtras {
  LegStamps stamps;
  unsigned quick_acks = 0;  // so many reads more are acknowledged at once
};

// An Endpoint over a connected, non-blocking TCP or Unix stream socket, which it owns. Whatever it can do beside moving
// bytes is an extra: a leg without them pays one branch on a null pointer a read.
class LegEnd {
 public:
  using Pipe = KernelPipe;

  LegEnd() = default;
  LegEnd(Fd fd, bool tcp) : fd_(std::move(fd)), tcp_(tcp) {}

  [[nodiscard]] auto fd() const -> int { return fd_.get(); }
  [[nodiscard]] auto is_open() const -> bool { return static_cast<bool>(fd_); }

  auto read(std::span<std::byte> into) -> ReadResult;
  auto write(std::span<const std::byte> from) -> IoResult;
  [[nodiscard]] auto buffered() const -> bool { return false; }
  [[nodiscard]] auto read_want() const -> Want { return Want::readable; }
  [[nodiscard]] auto write_want() const -> Want { return Want::writable; }
  auto close_write() -> IoResult;
  [[nodiscard]] auto unsent() const -> std::size_t;
  [[nodiscard]] auto dead() const -> bool;
  // Of TCP only; a Unix socket has no times. What the kernel refuses is left out.
  void take_stamps(const StampWishes& wishes, std::uint64_t written);
  auto drain_notices(TransmitStamps& stamps) -> std::size_t;
  // What the next so many reads take is acknowledged at once, where this host's kernel would have waited for a segment
  // to send it with, or for some 40 ms (TCP_QUICKACK, tcp(7), which holds for a moment only). A Unix socket has none.
  void acknowledge_at_once(unsigned reads);
  [[nodiscard]] auto counters() const -> std::optional<event::LegCounters>;
  void close() { fd_.reset(); }
  void reset();
  [[nodiscard]] auto can_splice() const -> bool { return true; }
  auto splice_in(Pipe& pipe, std::size_t most) -> IoResult;
  auto splice_out(Pipe& pipe) -> IoResult;

 private:
  auto read_with_extras(std::span<std::byte> into) -> ReadResult;
  void drop_idle_extras();

  std::unique_ptr<LegExtras> extras_;  // null: none are wanted
  Fd fd_;
  bool tcp_ = true;
};

static_assert(Endpoint<LegEnd>);

}  // namespace weir::proxy
