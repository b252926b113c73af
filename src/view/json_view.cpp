#include "view/json_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "view/cursor.h"
#include "view/json_string.h"

namespace weir::view {
namespace {

// The names and numbers of a chunk's line, without its payload and the proxy's name: 360 bytes at most.
constexpr std::size_t head_room = 512;

// A JSON string of what may hold anything: unprintable bytes as %xx, as the other views write them.
auto quoted(std::string_view text) -> std::string {
  const std::string safe = printable(text);
  std::string out(json_room(safe.size()), '\0');
  const char* const end = encode_json(out.data(), std::as_bytes(std::span(safe)), true);
  out.resize(static_cast<std::size_t>(end - out.data()));
  return fmt::format("\"{}\"", out);
}

auto totals(const event::DirectionTotals& totals) -> std::string {
  return fmt::format(R"({{"bytes":{},"chunks":{},"undelivered":{}}})", totals.bytes, totals.chunks, totals.undelivered);
}

// Numbers and our own words go into a line as they are, all else through quoted().
void field(std::string& line, std::string_view name, std::int64_t value) {
  line += fmt::format(",\"{}\":{}", name, value);
}
void field(std::string& line, std::string_view name, std::string_view json) {
  line += fmt::format(",\"{}\":{}", name, json);
}

}  // namespace

auto JsonView::begin(const Moment& moment, std::string_view name, bool with_session) -> std::string {
  stamp_.set(moment.wall);
  std::string line = fmt::format(R"({{"event":"{}","time":"{}","mono_ns":{})", name, stamp_.text(),
                                 moment.event.time.time_since_epoch().count());
  if (!with_session) return line;
  if (const auto proxy = proxy_name(moment.event); !proxy.empty()) field(line, "proxy", quoted(proxy));
  line += fmt::format(",\"session\":{}", static_cast<std::uint64_t>(moment.event.session));
  return line;
}

void JsonView::print_opened(const Moment& moment, const event::SessionOpened& opened) {
  std::string line = begin(moment, "opened");
  field(line, "client", quoted(opened.client.to_string()));
  field(line, "upstream", quoted(opened.upstream.to_string()));
  field(line, "connect_ns", opened.connect_time.count());
  output().append(line + "}\n");
}

void JsonView::print_half_closed(const Moment& moment, const event::HalfClosed& half_closed) {
  std::string line = begin(moment, "half_closed");
  field(line, "direction", quoted(to_string(half_closed.direction)));
  if (half_closed.fault != nullptr) field(line, "fault", quoted(*half_closed.fault));
  output().append(line + "}\n");
}

void JsonView::print_closed(const Moment& moment, const event::SessionClosed& closed) {
  std::string line = begin(moment, "closed");
  field(line, "cause", quoted(event::to_string(closed.cause)));
  field(line, "after_ns", closed.cause.after.count());
  if (closed.cause.leg) field(line, "leg", quoted(to_string(*closed.cause.leg)));
  field(line, "message", quoted(event::describe(closed.cause)));
  if (!closed.detail.empty()) field(line, "detail", quoted(closed.detail));
  field(line, "client", quoted(closed.client.to_string()));
  if (closed.upstream) field(line, "upstream", quoted(closed.upstream->to_string()));
  field(line, "age_ns", closed.age.count());
  field(line, "longest_silence_ns", closed.longest_silence.count());
  field(line, "waited_for_observers_ns", closed.waited_for_observers.count());
  field(line, "totals",
        fmt::format(R"({{"upstream":{},"downstream":{}}})", totals(closed.totals[index(Direction::upstream)]),
                    totals(closed.totals[index(Direction::downstream)])));
  output().append(line + "}\n");
}

void JsonView::print_verdict(const Moment& moment, const event::Verdict& verdict) {
  std::string line = begin(moment, "verdict");
  line += fmt::format(",\"exchange\":{}", verdict.exchange);
  field(line, "start", verdict.begin.time_since_epoch().count());
  field(line, "length_ns", verdict.length.count());
  field(line, "cause", quoted(verdict.cause));
  field(line, "side", quoted(verdict.side));
  field(line, "who", quoted(verdict.who));
  field(line, "certainty", quoted(verdict.certainty));
  field(line, "text", quoted(verdict.text));
  std::string evidence;
  for (const auto& [name, value] : verdict.evidence) {
    evidence += fmt::format("{}{}:{}", evidence.empty() ? "" : ",", quoted(name), value);
  }
  field(line, "evidence", fmt::format("{{{}}}", evidence));
  if (!verdict.fix.empty()) field(line, "fix", quoted(verdict.fix));
  output().append(line + "}\n");
}

void JsonView::print_gap(const Moment& moment, const event::Gap& gap) {
  std::string line = begin(moment, "gap", false);
  line += fmt::format(",\"chunks\":{},\"bytes\":{},\"events\":{}", gap.chunks, gap.bytes, gap.events);
  if (gap.error != 0) field(line, "error", quoted(errno_text(gap.error)));
  output().append(line + "}\n");
}

void JsonView::print_chunk(const Moment& moment, const ShownChunk& chunk) {
  const Utf8Check utf8 = check_utf8(chunk.bytes);
  const bool whole = utf8.valid == chunk.bytes.size();
  // A character that --limit splits is cut as a whole, so that text stays text. One that ends in the
  // next chunk is not: its bytes would be lost.
  const bool text = whole || (chunk.cut != 0 && utf8.truncated);
  const Bytes shown = text ? chunk.bytes.first(utf8.valid) : chunk.bytes;
  chunk_head(moment, chunk, shown, text);
  if (text) {
    text_body(shown);
  } else {
    base64_body(shown);
  }
  output().append("\"}\n");
}

// By hand and not through begin(): this is the line that comes once a chunk.
void JsonView::chunk_head(const Moment& moment, const ShownChunk& chunk, Bytes shown, bool text) {
  stamp_.set(moment.wall);
  const std::size_t total = chunk.bytes.size() + chunk.cut;
  Cursor out(output().space(head_room + 2 * longest_proxy_name));
  const char* const start = out.at();
  out.put(R"({"event":"chunk","time":")");
  out.put(stamp_.text());
  out.put(R"(","mono_ns":)");
  out.number(std::int64_t{moment.event.time.time_since_epoch().count()});
  if (const auto proxy = proxy_name(moment.event); !proxy.empty()) {
    out.put(R"(,"proxy":)");
    out.put(quoted(proxy));
  }
  out.put(R"(,"session":)");
  out.number(static_cast<std::uint64_t>(moment.event.session));
  out.put(chunk.read.direction == Direction::upstream ? R"(,"direction":"upstream","offset":)"
                                                      : R"(,"direction":"downstream","offset":)");
  out.number(chunk.read.offset);
  out.put(R"(,"bytes":)");
  out.number(std::uint64_t{total});
  if (shown.size() != total) {
    out.put(R"(,"cut":)");
    out.number(std::uint64_t{total - shown.size()});
  }
  if (chunk.read.kernel_time) {
    out.put(R"(,"kernel_ns":)");
    out.number(std::int64_t{chunk.read.kernel_time->time_since_epoch().count()});
  }
  out.put(text ? R"(,"text":")" : R"(,"base64":")");
  output().commit(static_cast<std::size_t>(out.at() - start));
}

void JsonView::text_body(Bytes utf8) {
  while (!utf8.empty()) {
    const Bytes now = whole_characters(utf8, piece);
    utf8 = utf8.subspan(now.size());
    char* const start = output().space(json_room(now.size()));
    output().commit(static_cast<std::size_t>(encode_json(start, now, ascii_only_) - start));
  }
}

void JsonView::base64_body(Bytes bytes) {
  while (!bytes.empty()) {
    const Bytes now = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(now.size());
    char* const start = output().space(base64_room(now.size()));
    output().commit(static_cast<std::size_t>(encode_base64(start, now) - start));
  }
}

}  // namespace weir::view
