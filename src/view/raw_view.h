#pragma once

#include "view/printing_view.h"

namespace weir::view {

// --show raw: the payload bytes of the chunks that are shown, one after the other as they were read.
// Whoever wants one direction's stream asks for --only; what --limit cuts or a gap loses is not marked.
class RawView final : public PrintingView {
 public:
  RawView(const ViewOptions& options, Output& out) : PrintingView(options, out, false) {}

 private:
  void print_opened(const Moment&, const event::SessionOpened&) override {}
  void print_chunk(const Moment&, const ShownChunk& chunk) override { output().append(chunk.bytes); }
  void print_half_closed(const Moment&, const event::HalfClosed&) override {}
  void print_closed(const Moment&, const event::SessionClosed&) override {}
  void print_verdict(const Moment&, const event::Verdict&) override {}
  void print_gap(const Moment&, const event::Gap&) override {}
};

}  // namespace weir::view
