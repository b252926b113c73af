#pragma once

#include <string>
#include <string_view>

#include "view/cursor.h"
#include "view/printing_view.h"
#include "view/wall_stamp.h"

namespace weir::view {

// --show text, hex and dump. A header per chunk, its bytes on the lines below, two spaces in; session
// lines between them. Headers and session lines begin in the first column, bytes never do, so a peer
// cannot forge one.
//
//   -- 2026-05-09 (UTC+02:00)
//   14:03:07.123456          #3 opened: client 127.0.0.1:51234, upstream 10.0.0.5:5432, connected in 412us
//   14:03:07.124868  +1.41ms #3 → 27 bytes
//     GET / HTTP/1.0%0d%0a
//     Host: x%0d%0a
//     %0d%0a
//   14:03:07.166201  +41.3ms #3 ← 4096 bytes, 4064 of them cut
//     HTTP/1.0 200 OK%0d%0a
//     Server: ngin
//   14:03:07.166215          #3 lost 41.3ms to server 10.0.0.5:5432: think (likely): took its time to answer
//   14:03:09.000000          #3 closed by server.fin after 1.88s; lasted 1.88s, → 27 bytes in 1 chunk, ...
//
// The columns of a header: local wall time; time since the session's last shown chunk (since it was
// opened, for the first); session number, after the proxy's name if there are several; direction,
// → upstream and ← downstream; size of the chunk. A chunk whose bytes look like a protocol that is no text is followed
// by a session line that says so, once a session.
class LinesView final : public PrintingView {
 public:
  // options.kind: text, hex or dump.
  LinesView(const ViewOptions& options, Output& out);

 private:
  void print_opened(const Moment& moment, const event::SessionOpened& opened) override;
  void print_chunk(const Moment& moment, const ShownChunk& chunk) override;
  void print_half_closed(const Moment& moment, const event::HalfClosed& half_closed) override;
  void print_closed(const Moment& moment, const event::SessionClosed& closed) override;
  void print_verdict(const Moment& moment, const event::Verdict& verdict) override;
  void print_gap(const Moment& moment, const event::Gap& gap) override;

  void set_time(const Moment& moment);  // and the date line, when it is due
  void header(const Moment& moment, const ShownChunk& chunk);
  void text_body(Bytes bytes);
  void hex_body(Bytes bytes);
  void dump_body(Bytes bytes, std::uint64_t offset);
  void line(std::string_view color, std::string_view text);
  void session_line(const Moment& moment, std::string_view text, std::string_view color);
  [[nodiscard]] auto arrow(Direction direction) const -> std::string_view;
  [[nodiscard]] auto totals(Direction direction, const event::DirectionTotals& totals) const -> std::string;

  ViewKind kind_;
  bool color_;
  bool utf8_;
  LocalStamp stamp_;
  unsigned file_ = 0;  // Output::files_begun()
};

}  // namespace weir::view
