#include "view/lines_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/duration.h"
#include "view/json_string.h"
#include "view/stream_hint.h"

namespace weir::view {
namespace {

constexpr std::string_view upstream_color = "\x1b[36m";    // cyan
constexpr std::string_view downstream_color = "\x1b[32m";  // green
constexpr std::string_view session_color = "\x1b[1m";      // bold
constexpr std::string_view warning_color = "\x1b[33m";     // yellow
constexpr std::string_view trouble_color = "\x1b[1;31m";   // bold red
constexpr std::string_view date_color = "\x1b[2m";         // faint
constexpr std::string_view color_end = "\x1b[0m";

constexpr std::size_t since_width = 8;  // "+41.3ms", right-aligned
constexpr std::string_view no_since = "        ";
static_assert(no_since.size() == since_width);

// Colours, stamp, time since, number, arrow, sizes, without the proxy's name: 140 bytes at most.
constexpr std::size_t header_room = 192;

// Ends that are nobody's intention: resets, errors, timeouts, faults.
auto is_trouble(event::CloseReason reason) -> bool {
  switch (reason) {
    case event::CloseReason::client_fin:
    case event::CloseReason::server_fin:
    case event::CloseReason::shutdown: return false;
    case event::CloseReason::client_reset:
    case event::CloseReason::server_reset:
    case event::CloseReason::client_error:
    case event::CloseReason::server_error:
    case event::CloseReason::resolve_failed:
    case event::CloseReason::connect_refused:
    case event::CloseReason::connect_unreachable:
    case event::CloseReason::connect_failed:
    case event::CloseReason::timeout:
    case event::CloseReason::keepalive:
    case event::CloseReason::resources:
    case event::CloseReason::fault: break;
  }
  return true;
}

auto noun(std::uint64_t count, std::string_view one) -> std::string {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

}  // namespace

LinesView::LinesView(const ViewOptions& options, Output& out)
    : PrintingView(options, out, true), kind_(options.kind), color_(options.color), utf8_(options.utf8) {}

auto LinesView::arrow(Direction direction) const -> std::string_view {
  if (direction == Direction::upstream) return utf8_ ? "→" : "->";
  return utf8_ ? "←" : "<-";
}

void LinesView::set_time(const Moment& moment) {
  // Another file begins with the date again.
  const bool new_file = std::exchange(file_, output().files_begun()) != output().files_begun();
  if (stamp_.set(moment.wall) || new_file) line(date_color, fmt::format("-- {}", stamp_.date_text()));
}

void LinesView::line(std::string_view color, std::string_view text) {
  if (color_) output().append(color);
  output().append(text);
  if (color_) output().append(color_end);
  output().append("\n");
}

void LinesView::session_line(const Moment& moment, std::string_view text, std::string_view color) {
  set_time(moment);
  line(color, fmt::format("{} {} {}#{} {}", stamp_.time_text(), no_since, proxy_name(moment.event),
                          static_cast<std::uint64_t>(moment.event.session), text));
}

void LinesView::print_opened(const Moment& moment, const event::SessionOpened& opened) {
  session_line(
      moment,
      fmt::format("opened: client {}, upstream {}, connected in {}", printable(opened.client.to_string(), utf8_),
                  printable(opened.upstream.to_string(), utf8_), format_duration(opened.connect_time)),
      session_color);
}

void LinesView::print_half_closed(const Moment& moment, const event::HalfClosed& half_closed) {
  const LegName done = source_of(half_closed.direction);
  const std::string how = half_closed.fault == nullptr ? fmt::format("the {} has finished", to_string(done))
                                                       : fmt::format("the fault {} has ended what the {} sends",
                                                                     printable(*half_closed.fault), to_string(done));
  session_line(moment,
               fmt::format("half-closed {}: {}, the {} may still send", arrow(half_closed.direction), how,
                           to_string(other(done))),
               session_color);
}

auto LinesView::totals(Direction direction, const event::DirectionTotals& totals) const -> std::string {
  std::string text =
      fmt::format("{} {} in {}", arrow(direction), noun(totals.bytes, "byte"), noun(totals.chunks, "chunk"));
  if (totals.undelivered != 0) text += fmt::format(" ({} undelivered)", totals.undelivered);
  return text;
}

void LinesView::print_closed(const Moment& moment, const event::SessionClosed& closed) {
  std::string text = event::describe(closed.cause);
  const std::string_view leg = closed.cause.leg ? to_string(*closed.cause.leg) : "";
  // "client.fin ... on the client leg" would say it twice.
  if (!leg.empty() && event::to_string(closed.cause).find(leg) == std::string_view::npos) {
    text += fmt::format(" on the {} leg", leg);
  }
  if (!closed.detail.empty()) text += fmt::format(" ({})", printable(closed.detail, utf8_));
  if (!closed.upstream)
    text += fmt::format("; client {}, no upstream reached", printable(closed.client.to_string(), utf8_));
  text += fmt::format("; lasted {}", format_duration(closed.age));
  const auto& up = closed.totals[index(Direction::upstream)];
  const auto& down = closed.totals[index(Direction::downstream)];
  if (closed.upstream || up.bytes != 0 || down.bytes != 0) {
    text += fmt::format(", {}, {}, longest silence {}", totals(Direction::upstream, up),
                        totals(Direction::downstream, down), format_duration(closed.longest_silence));
    // Said of Weir itself: a peer that was silent meanwhile is not to blame.
    if (closed.waited_for_observers >= std::chrono::milliseconds{1}) {
      text += fmt::format(", held up by a full view for {}", format_duration(closed.waited_for_observers));
    }
  }
  session_line(moment, text, is_trouble(closed.cause.reason) ? trouble_color : session_color);
}

void LinesView::print_verdict(const Moment& moment, const event::Verdict& verdict) {
  std::string text =
      fmt::format("lost {} to {}: {} ({}): {}", format_duration(verdict.length), printable(verdict.who, utf8_),
                  verdict.cause, verdict.certainty, printable(verdict.text, utf8_));
  if (!verdict.fix.empty()) text += fmt::format("; fix: {}", printable(verdict.fix, utf8_));
  session_line(moment, text, warning_color);
}

void LinesView::print_gap(const Moment& moment, const event::Gap& gap) {
  set_time(moment);
  std::string text = fmt::format("{} {} gap: {} ({})", stamp_.time_text(), no_since, noun(gap.chunks, "chunk"),
                                 noun(gap.bytes, "byte"));
  if (gap.events != 0) text += fmt::format(" and {}", noun(gap.events, "other event"));
  text += gap.error == 0 ? " not shown: this view was too slow"
                         : fmt::format(" not written: {}", printable(errno_text(gap.error), utf8_));
  line(warning_color, text);
}

void LinesView::print_chunk(const Moment& moment, const ShownChunk& chunk) {
  set_time(moment);
  header(moment, chunk);
  if (kind_ == ViewKind::hex) {
    hex_body(chunk.bytes);
  } else if (kind_ == ViewKind::dump) {
    dump_body(chunk.bytes, chunk.read.offset);
  } else {
    text_body(chunk.bytes);
  }
  if (chunk.session == nullptr || chunk.session->hinted) return;
  const auto hint = stream_hint(chunk.read.bytes.bytes(), chunk.read.offset, kind_ == ViewKind::text);
  if (hint.empty()) return;
  chunk.session->hinted = true;
  session_line(moment, hint, warning_color);
}

void LinesView::header(const Moment& moment, const ShownChunk& chunk) {
  const Direction direction = chunk.read.direction;
  Cursor out(output().space(header_room + longest_proxy_name));
  const char* const begin = out.at();
  if (color_) out.put(direction == Direction::upstream ? upstream_color : downstream_color);
  out.put(stamp_.time_text());
  out.put(' ');
  if (chunk.since) {
    std::array<char, Cursor::longest_duration> text{};
    Cursor since(text.data());
    since.duration(*chunk.since);
    const auto size = static_cast<std::size_t>(since.at() - text.data());
    out.put(no_since.substr(std::min(since_width, size + 1)));
    out.put('+');
    out.put({text.data(), size});
  } else {
    out.put(no_since);
  }
  out.put(' ');
  out.put(proxy_name(moment.event));
  out.put('#');
  out.number(static_cast<std::uint64_t>(moment.event.session));
  out.put(' ');
  out.put(arrow(direction));
  out.put(' ');
  const std::size_t total = chunk.bytes.size() + chunk.cut;
  out.number(std::uint64_t{total});
  out.put(total == 1 ? " byte" : " bytes");
  if (chunk.cut != 0) {
    out.put(", ");
    out.number(std::uint64_t{chunk.cut});
    out.put(" of them cut");
  }
  if (color_) out.put(color_end);
  out.put('\n');
  output().commit(static_cast<std::size_t>(out.at() - begin));
}

void LinesView::text_body(Bytes bytes) {
  if (bytes.empty()) return;
  output().append(indent);
  while (!bytes.empty()) {
    const Bytes now = utf8_ ? text_piece(bytes, piece) : bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(now.size());
    char* const begin = output().space(text_room(now.size()));
    char* end = utf8_ ? encode_utf8_text(begin, now) : encode_text(begin, now);
    if (bytes.empty()) {
      const bool line_ended = now.back() == std::byte{'\n'};
      if (line_ended) end -= indent.size();
      if (!line_ended) *end++ = '\n';
    }
    output().commit(static_cast<std::size_t>(end - begin));
  }
}

void LinesView::hex_body(Bytes bytes) {
  while (!bytes.empty()) {
    const Bytes now = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(now.size());
    char* const begin = output().space(hex_room(now.size()));
    output().commit(static_cast<std::size_t>(encode_hex(begin, now) - begin));
  }
}

void LinesView::dump_body(Bytes bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const Bytes now = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(now.size());
    char* const begin = output().space(dump_room(now.size()));
    output().commit(static_cast<std::size_t>(encode_dump(begin, now, offset) - begin));
    offset += now.size();
  }
}

}  // namespace weir::view
