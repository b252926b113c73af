// Any packets, as a capture may hold them: the sessions that are told are whole - each direction's bytes in order, from
// 0, each session ended once and silent then - and what reads them, the diagnosis, takes any time and any length.
#include <cstdlib>
#include <map>

#include "diagnose/diagnosis.h"
#include "diagnose/report.h"
#include "record/capture_reader.h"

namespace {

using namespace weir;

class Checked final : public event::Observer {
 public:
  void on_event(const event::Event& event, Nanos wall_offset) override {
    Session& session = sessions_[event.session];
    if (session.ended) std::abort();
    if (const auto* chunk = std::get_if<event::ChunkRead>(&event.what)) {
      std::uint64_t& next = session.next.at(index(chunk->direction));
      if (chunk->offset != next || chunk->size() == 0) std::abort();
      next += chunk->size();
    }
    if (std::holds_alternative<std::shared_ptr<const event::SessionClosed>>(event.what)) session.ended = true;
    diagnosis.on_event(event, wall_offset);
  }
  [[nodiscard]] auto flush() -> bool override { return true; }
  void all_ended() const {
    for (const auto& [number, session] : sessions_) {
      if (!session.ended) std::abort();
    }
  }
  diagnose::Diagnosis diagnosis{{.server = {}, .exchanges = {}, .on_verdict = {}, .acknowledge_at_once = {}}};

 private:
  struct Session {
    std::array<std::uint64_t, 2> next{};
    bool ended = false;
  };
  std::map<SessionNumber, Session> sessions_;
};

}  // namespace

// The link, then packets: two bytes of length, one of how much the capture has cut off, four of the time since the
// last.
extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  std::span<const std::byte> rest = std::as_bytes(std::span(data, size));
  const auto take = [&rest](std::size_t count) {
    const auto first = rest.first(std::min(count, rest.size()));
    rest = rest.subspan(first.size());
    return first;
  };
  const auto number = [&take](std::size_t count) {
    std::uint64_t value = 0;
    for (const std::byte each : take(count)) value = value << 8 | static_cast<std::uint8_t>(each);
    return value;
  };
  const auto link = static_cast<record::Link>(number(1) % 6);
  Checked checked;
  record::CaptureReader reader(checked, ~event::EventMask{0}, 16);
  MonoTime time{};
  while (!rest.empty()) {
    const std::uint64_t length = number(2);
    const std::uint64_t cut = number(1);
    time += std::chrono::microseconds{number(4)};
    reader.take(link, time, take(length), length + cut);
  }
  reader.end();
  checked.all_ended();
  (void)diagnose::report_lines(checked.diagnosis.report(), 80);
  return 0;
}
