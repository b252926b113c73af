// Packets made byte by byte, and what a reader makes of them as lines.
#pragma once

#include <fmt/chrono.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "record/capture_reader.h"

namespace weir::record::test {

using namespace std::chrono_literals;

inline auto u16(unsigned value) -> std::string {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}
inline auto u32(std::uint32_t value) -> std::string { return u16(value >> 16) + u16(value & 0xffff); }

constexpr unsigned syn = 0x02;
constexpr unsigned fin = 0x01;
constexpr unsigned rst = 0x04;
constexpr unsigned ack = 0x10;

struct Segment {
  std::uint16_t from = 40000;
  std::uint16_t to = 5432;
  std::uint32_t sequence = 1;
  std::uint32_t acknowledges = 1;
  std::string payload{};
  unsigned flags = ack;
  unsigned window = 500;
  std::string options{};  // a multiple of four bytes
};
inline auto tcp(const Segment& segment) -> std::string {
  const auto words = static_cast<unsigned>(5 + segment.options.size() / 4);
  return u16(segment.from) + u16(segment.to) + u32(segment.sequence) + u32(segment.acknowledges) +
         u16(words << 12 | segment.flags) + u16(segment.window) + u32(0) + segment.options + segment.payload;
}

struct Ipv4 {
  std::string from = "\x0a\x00\x00\x01";
  std::string to = "\x0a\x00\x00\x02";
  unsigned fragment = 0x4000;  // flags and offset
  unsigned protocol = 6;
  std::optional<unsigned> length{};  // what the header says
  unsigned number = 1;
};
inline auto ipv4(const std::string& payload, const Ipv4& ip = {.from = std::string("\x0a\0\0\x01", 4),
                                                               .to = std::string("\x0a\0\0\x02", 4)}) -> std::string {
  return std::string("\x45\0", 2) + u16(ip.length.value_or(static_cast<unsigned>(20 + payload.size()))) +
         u16(ip.number) + u16(ip.fragment) + "\x40" + static_cast<char>(ip.protocol) + u16(0) + ip.from + ip.to +
         payload;
}
inline auto ethernet(const std::string& packet, const std::string& tags = {}) -> std::string {
  const bool v6 = (static_cast<unsigned char>(packet[0]) >> 4) == 6;
  return std::string(12, 'm') + tags + u16(v6 ? 0x86dd : 0x0800) + packet;
}
inline auto bytes_of(const std::string& text) -> std::span<const std::byte> { return std::as_bytes(std::span(text)); }

// An observer that writes down what it is told.
class Notes final : public event::Observer {
 public:
  void on_event(const event::Event& event, Nanos /*wall_offset*/) override {
    const auto add = [&](const std::string& line) {
      lines.push_back(fmt::format("{} {}: {}",
                                  std::chrono::duration_cast<std::chrono::milliseconds>(event.time - start),
                                  static_cast<std::uint64_t>(event.session), line));
    };
    if (const auto* opened = std::get_if<std::shared_ptr<const event::SessionOpened>>(&event.what)) {
      add(fmt::format("opened {} to {}", (*opened)->client.to_string(), (*opened)->upstream.to_string()));
    } else if (const auto* tried = std::get_if<std::shared_ptr<const event::ConnectTried>>(&event.what)) {
      if ((*tried)->error != 0) add("not connected: " + errno_text((*tried)->error));
    } else if (const auto* chunk = std::get_if<event::ChunkRead>(&event.what)) {
      const auto bytes = chunk->bytes.bytes();
      const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      add(fmt::format("{} {}+{}{}", to_string(chunk->direction), chunk->offset, text,
                      chunk->uncopied > 0 ? fmt::format(" and {} unseen", chunk->uncopied) : ""));
    } else if (const auto* packets = std::get_if<std::shared_ptr<const event::PacketEvidence>>(&event.what)) {
      evidence.push_back(**packets);
    } else if (const auto* closed = std::get_if<std::shared_ptr<const event::SessionClosed>>(&event.what)) {
      add("closed by " + std::string(to_string((*closed)->cause)));
    }
  }
  [[nodiscard]] auto flush() -> bool override { return true; }
  static constexpr MonoTime start{1000s};
  std::vector<std::string> lines;
  std::vector<event::PacketEvidence> evidence;
};

// Sends packets between 10.0.0.1:40000 and 10.0.0.2:5432, or as it is told, and reads what becomes of them.
class ReaderTest : public testing::Test {
 public:
  auto at(Nanos time) -> ReaderTest& {
    now_ = Notes::start + time;
    return *this;
  }
  // From the client, and from the server; sequence numbers are counted by who calls.
  auto up(Segment segment) -> ReaderTest& { return frame(ethernet(ipv4(tcp(segment), to_server()))); }
  auto down(Segment segment) -> ReaderTest& {
    std::swap(segment.from, segment.to);
    Ipv4 ip = to_server();
    std::swap(ip.from, ip.to);
    return frame(ethernet(ipv4(tcp(segment), ip)));
  }
  auto frame(const std::string& bytes, std::size_t cut = 0) -> ReaderTest& {
    reader.take(Link::ethernet, now_, bytes_of(bytes).first(bytes.size() - cut), bytes.size());
    return *this;
  }
  auto told() -> std::vector<std::string> { return std::exchange(notes.lines, {}); }
  auto last() -> const event::PacketEvidence& { return notes.evidence.back(); }
  void opens(std::uint32_t client = 1, std::uint32_t server = 1) {
    up({.sequence = client - 1, .flags = syn})
        .down({.sequence = server - 1, .acknowledges = client, .flags = syn | ack});
    up({.sequence = client, .acknowledges = server});
    told();
  }

  Notes notes;
  CaptureReader reader{notes, ~event::EventMask{0}, 8};

 private:
  auto to_server() -> Ipv4 {
    return {.from = std::string("\x0a\0\0\x01", 4), .to = std::string("\x0a\0\0\x02", 4), .number = ++number_};
  }
  MonoTime now_ = Notes::start;
  unsigned number_ = 0;
};

}  // namespace weir::record::test
