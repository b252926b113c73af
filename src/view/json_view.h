#pragma once

#include <string>

#include "view/printing_view.h"
#include "view/wall_stamp.h"

namespace weir::view {

// --show json: one object a line, by the contract of docs/json-view.md. Fields that say nothing are
// left out, none is null.
class JsonView final : public PrintingView {
 public:
  JsonView(const ViewOptions& options, Output& out) : PrintingView(options, out, false), ascii_only_(!options.utf8) {}

 private:
  void print_opened(const Moment& moment, const event::SessionOpened& opened) override;
  void print_chunk(const Moment& moment, const ShownChunk& chunk) override;
  void print_half_closed(const Moment& moment, const event::HalfClosed& half_closed) override;
  void print_closed(const Moment& moment, const event::SessionClosed& closed) override;
  void print_verdict(const Moment& moment, const event::Verdict& verdict) override;
  void print_gap(const Moment& moment, const event::Gap& gap) override;

  void chunk_head(const Moment& moment, const ShownChunk& chunk, Bytes shown, bool text);
  void text_body(Bytes utf8);
  void base64_body(Bytes bytes);
  // {"event":"...","time":"...","mono_ns":... and, if it is about one, the session.
  [[nodiscard]] auto begin(const Moment& moment, std::string_view name, bool with_session = true) -> std::string;

  bool ascii_only_;
  UtcStamp stamp_;
};

}  // namespace weir::view
