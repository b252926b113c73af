#pragma once

#include <atomic>
#include <cstdint>

namespace weir::fault {

// Bytes that faults may hold in one direction of one session before its source is no longer read.
inline constexpr std::uint64_t default_queue_limit = 32 * 1024 * 1024;

// The memory that faults hold in all sessions of the process, and the most that they may: beyond it no
// source of a direction that holds something is read. It counts whole blocks of payload, until their bytes are sent,
// and the queues of the stages. One per engine; any thread.
class ByteBudget {
 public:
  static constexpr std::uint64_t default_limit = 1024 * 1024 * 1024;
  explicit ByteBudget(std::uint64_t limit = default_limit) : limit_(limit) {}

  void take(std::uint64_t bytes) { held_.fetch_add(bytes, std::memory_order_relaxed); }
  void give(std::uint64_t bytes) { held_.fetch_sub(bytes, std::memory_order_relaxed); }
  [[nodiscard]] auto is_full() const -> bool { return held_.load(std::memory_order_relaxed) >= limit_; }
  void count_direction_full() { direction_full_.fetch_add(1, std::memory_order_relaxed); }
  void count_process_full() { process_full_.fetch_add(1, std::memory_order_relaxed); }

  // What blocks are charged to (base/block.h).
  [[nodiscard]] auto charged() -> std::atomic<std::uint64_t>* { return &held_; }

  [[nodiscard]] auto held() const -> std::uint64_t { return held_.load(std::memory_order_relaxed); }
  [[nodiscard]] auto limit() const -> std::uint64_t { return limit_; }
  // Times that a source was left unread because its direction's limit, or this one, was reached.
  [[nodiscard]] auto direction_full() const -> std::uint64_t { return direction_full_.load(std::memory_order_relaxed); }
  [[nodiscard]] auto process_full() const -> std::uint64_t { return process_full_.load(std::memory_order_relaxed); }

 private:
  std::uint64_t limit_;
  std::atomic<std::uint64_t> held_{0};
  std::atomic<std::uint64_t> direction_full_{0};
  std::atomic<std::uint64_t> process_full_{0};
};

}  // namespace weir::fault
