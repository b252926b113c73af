// What a session's timeline makes of bytes that were read; see session_timeline.h.
#include <algorithm>
#include <array>
#include <utility>

#include "diagnose/session_timeline.h"

namespace weir::diagnose {
namespace {

auto text_of(std::span<const std::byte> bytes) -> std::string_view {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The beginning of a request of HTTP/1 or Redis, by which another one is known; zeros: neither.
auto beginning_of(std::string_view text) -> std::array<char, 3> {
  constexpr std::array<std::string_view, 6> known{"GET", "POS", "PUT", "HEA", "DEL", "PAT"};
  const std::string_view begin = text.substr(0, 3);
  const bool is_redis = begin.size() == 3 && begin[0] == '*' && begin[1] >= '1' && begin[1] <= '9';
  if (!is_redis && std::ranges::find(known, begin) == known.end()) return {};
  return {begin[0], is_redis ? '\0' : begin[1], is_redis ? '\0' : begin[2]};
}

}  // namespace

void SessionTimeline::Stream::add(std::string_view text) {
  message += text.size();
  piece += text.size();
  const std::string_view end = text.substr(text.size() - std::min(text.size(), cut_text));
  std::copy(tail.begin() + static_cast<std::ptrdiff_t>(end.size()), tail.end(), tail.begin());
  std::ranges::copy(end, tail.end() - static_cast<std::ptrdiff_t>(end.size()));
  seen = std::min(cut_text, seen + end.size());
}

void SessionTimeline::Stream::skip(std::uint64_t bytes) {
  if (bytes == 0) return;
  message += bytes;
  piece += bytes;
  seen = 0;
}

auto SessionTimeline::Stream::last() const -> std::string_view {
  return std::string_view(tail.data(), tail.size()).substr(cut_text - seen);
}

void SessionTimeline::on_read(const event::ChunkRead& chunk, MonoTime now) {
  const Direction direction = chunk.direction;
  connected_ = true;  // also where its opening was not seen
  const bool is_request = direction == Direction::upstream;
  ++counters_.at(index(source_of(direction))).reads;
  const MonoTime arrived = std::clamp(chunk.kernel_time.value_or(now), cursor_, std::max(cursor_, now));
  const std::string_view text = text_of(chunk.bytes.bytes());
  look_at_first(chunk);
  Stream& stream = this->stream(direction);
  Pause* pause = nullptr;
  if (is_request && (!exchange_ || answered_)) {
    end_exchange();
    const Nanos gap = std::max(arrived - cursor_, Nanos{});
    pause = spend_own(Segment::client_waits, direction, arrived);
    begin_exchange(arrived, gap);
    if (is_whole_) setup_.on_request(text);
    if (pause != nullptr) pause->exchange = exchanges_;
    stream.begin_message();
  } else if (is_request) {
    pause = spend_own(Segment::client_sends, direction, arrived);
  } else if (exchange_ && !answered_) {
    pause = spend_own(Segment::server_answers, direction, arrived);
    stream.begin_message();
    if (is_whole_) setup_.on_answer(text);
    answered_ = true;
  } else {
    pause = spend_own(Segment::server_sends, direction, arrived);
  }
  if (pause != nullptr) fill(*pause, stream, chunk);
  is_request ? look_at_request(text) : look_at_answer(chunk, text, arrived);
  stream.add(text);
  look_at(direction, text);
  stream.skip(chunk.uncopied);
  packets_.reset();
  tls_.skip(direction, chunk.uncopied);
  if (exchange_) exchange_->bytes.at(index(direction)) += chunk.size();
  stream.read = chunk.offset + chunk.size();
  spend(Segment::reads, direction, now);
}

// The rest of a pause that these bytes end.
void SessionTimeline::fill(Pause& pause, Stream& stream, const event::ChunkRead& chunk) {
  const std::string_view text = text_of(chunk.bytes.bytes());
  pause.purpose = setup_.purpose();
  pause.tls = tls_.moment(chunk.direction, exchanges_);
  pause.idle_before = pause.segment == Segment::client_waits ? gap_before_ : last_gap_;
  pause.offset = chunk.offset;
  pause.before = stream.message;
  pause.piece = std::exchange(stream.piece, 0);
  pause.behind = chunk.size();
  pause.text_before = stream.last();
  pause.text_behind = text.substr(0, cut_text);
  if (pause.before > 0) {
    const auto& counters = counters_.at(index(source_of(chunk.direction))).what;
    stream.bursts.add(pause.piece, pause.length, counters ? counters->least_round_trip : Nanos{});
  }
  pause.bursts = stream.bursts;
}

// Before it is added to its stream.
void SessionTimeline::look_at_request(std::string_view text) {
  const Stream& requests = stream(Direction::upstream);
  const std::array<char, 3> begin = beginning_of(text);
  if (requests.message == 0) {
    request_begins_ = begin;
  } else if (exchange_ && !answered_ && begin[0] != 0 && begin[0] == request_begins_[0] &&
             requests.last().ends_with("\r\n")) {
    ++exchange_->pipelined;
  }
}

void SessionTimeline::look_at_answer(const event::ChunkRead& chunk, std::string_view text, MonoTime arrived) {
  if (!exchange_) return;
  constexpr std::uint64_t hashed = 65'536;
  const Stream& answer = stream(Direction::downstream);
  if (answer.message == 0) exchange_->curve.begin(arrived);
  exchange_->curve.add(arrived, chunk.size());
  if (answer.message >= hashed) return;
  for (const char c : text.substr(0, static_cast<std::size_t>(hashed - answer.message))) {
    exchange_->answer = exchange_->answer * 31 + static_cast<std::uint8_t>(c);
  }
}

void SessionTimeline::look_at_first(const event::ChunkRead& chunk) {
  if (std::exchange(seen_bytes_, true)) return;
  is_whole_ = chunk.offset == 0;
  if (is_whole_ && chunk.direction == Direction::downstream) setup_.on_greeting(text_of(chunk.bytes.bytes()));
}

void SessionTimeline::look_at(Direction direction, std::string_view text) {
  if (is_whole_) tls_.add(direction, text, exchanges_);
  if (setup_.take_tls_begins()) tls_.restart();
  if (direction == Direction::upstream) shape_.add(text);
}

}  // namespace weir::diagnose
