// The phase of a session in which what precedes its stream is read.
#include <array>

#include "proxy/session.h"

namespace weir::proxy {

using event::CloseReason;

void Session::read_preface() {
  std::array<std::byte, 4096> buffer;
  auto& bytes = setup_->preface_bytes;
  while (true) {
    const std::size_t room = std::min(buffer.size(), Preface::limit - bytes.size());
    const ReadResult read = relay_.client().end.read(std::span(buffer).first(room));
    if (read.status == IoStatus::would_block) return;
    if (read.status != IoStatus::ok) {
      const bool fin = read.status == IoStatus::end;
      return fail(age_cause(fin ? CloseReason::client_fin : CloseReason::client_reset, LegName::client),
                  "before its preface was complete");
    }
    bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(read.bytes));
    const Preface::Verdict verdict = setup_->preface->read(bytes);
    if (verdict.outcome == Preface::Outcome::complete) {
      bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(verdict.consumed));
      return choose_upstream();
    }
    if (verdict.outcome == Preface::Outcome::malformed || bytes.size() >= Preface::limit) {
      return fail(age_cause(CloseReason::client_error, LegName::client), "its preface is malformed");
    }
  }
}

}  // namespace weir::proxy
