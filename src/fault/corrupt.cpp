#include <algorithm>
#include <cmath>

#include "fault/catalog.h"

namespace weir::fault {
namespace {

enum class Mode : std::uint8_t { flip, replace, truncate };
constexpr std::uint64_t nowhere = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t bits = 1;  // their series of draws

auto mode_of(const FaultSpec& spec) -> Mode {
  const std::string& word = spec.text("mode");
  return word == "flip" ? Mode::flip : word == "replace" ? Mode::replace : Mode::truncate;
}

// Finds a pattern in a stream that comes in chunks (Knuth, Morris, Pratt): no byte waits for the next.
class Matcher {
 public:
  void set(std::string pattern) {
    if (pattern == pattern_) return;
    pattern_ = std::move(pattern);
    matched_ = 0;
    fallback_.assign(pattern_.size() + 1, 0);
    for (std::size_t i = 1, k = 0; i < pattern_.size(); ++i) {
      while (k > 0 && pattern_[i] != pattern_[k]) k = fallback_[k];
      if (pattern_[i] == pattern_[k]) ++k;
      fallback_[i + 1] = k;
    }
  }
  void start_anew() { matched_ = 0; }
  [[nodiscard]] auto is_set() const -> bool { return !pattern_.empty(); }
  // Is this byte the last of the pattern?
  auto next(char byte) -> bool {
    while (matched_ > 0 && byte != pattern_[matched_]) matched_ = fallback_[matched_];
    if (byte == pattern_[matched_]) ++matched_;
    if (matched_ < pattern_.size()) return false;
    matched_ = fallback_[matched_];
    return true;
  }

 private:
  std::string pattern_;
  std::vector<std::size_t> fallback_;
  std::size_t matched_ = 0;
};

class CorruptStage final : public Stage {
 public:
  explicit CorruptStage(const Seat& seat) : draws_(seat.draws), blocks_(seat.blocks), charged_(seat.charged) {
    take(seat.spec);
  }

  void on_chunk(StageContext& context, Chunk chunk) override {
    const std::uint64_t offset = chunk.offset;
    const std::span<const std::byte> bytes = chunk.bytes.bytes();
    if (chunk.marks.begins) start_anew();
    // Also where bytes between these and the last are not for this stage, or were dropped on their way.
    if (!drawn_ || (next_ < offset && !matcher_.is_set())) draw_from(offset);
    std::vector<std::byte> changed;  // filled when the first byte changes
    for (std::uint64_t at = offset; at < offset + bytes.size(); ++at) {
      if (!matcher_.is_set() && left_to_replace_ == 0) at = std::max(at, std::min(next_, offset + bytes.size()));
      if (at == offset + bytes.size()) break;
      const std::byte original = bytes[at - offset];
      const bool here = at == next_;
      if (matcher_.is_set() && matcher_.next(static_cast<char>(original))) next_ = at + 1;
      if (here && mode_ == Mode::truncate) return truncate(context, chunk, at - offset);
      if (here && mode_ == Mode::replace) left_to_replace_ = with_.size();
      if (here && !matcher_.is_set()) draw_from(at + 1);
      const std::byte wanted = byte_at(at, original, here);
      if (wanted == original) continue;
      if (changed.empty()) changed.assign(bytes.begin(), bytes.end());
      changed[at - offset] = wanted;
    }
    if (changed.empty()) return context.emit(std::move(chunk));
    chunk.bytes = blocks_.copy(changed, charged_);
    if (chunk.empty()) return context.end(End::session_reset);  // no memory: rather no stream than another
    context.emit(std::move(chunk));
  }
  void on_update(StageContext&, const FaultSpec& spec) override { take(spec); }

 private:
  void take(const FaultSpec& spec) {
    mode_ = mode_of(spec);
    at_ = spec.integer("at");
    rate_ = spec.fraction("rate");
    with_ = spec.text("with");
    matcher_.set(spec.text("pattern"));
    left_to_replace_ = 0;
    next_ = nowhere;
    drawn_ = false;
  }
  // Nothing goes from one message to the next.
  void start_anew() {
    matcher_.start_anew();
    left_to_replace_ = 0;
    if (matcher_.is_set()) next_ = nowhere;
  }
  // The next offset to corrupt, from `offset` on. With a rate the gap is geometric, drawn by the offset
  // that it begins at: a draw for every byte would cost 20 ns each.
  void draw_from(std::uint64_t offset) {
    drawn_ = true;
    next_ = nowhere;
    if (matcher_.is_set()) return;
    if (at_ >= 0) {
      if (offset <= static_cast<std::uint64_t>(at_)) next_ = static_cast<std::uint64_t>(at_);
    } else if (rate_ >= 1) {
      next_ = offset;
    } else if (rate_ > 0) {
      const double gap = std::floor(std::log1p(-draws_.uniform(offset)) / std::log1p(-rate_));
      if (gap < 1e18) next_ = offset + static_cast<std::uint64_t>(gap);
    }
  }
  auto byte_at(std::uint64_t at, std::byte original, bool here) -> std::byte {
    if (mode_ == Mode::flip) {
      return here ? original ^ (std::byte{1} << draws_.integer(at, 0, 7, bits)) : original;
    }
    if (left_to_replace_ == 0) return original;
    return static_cast<std::byte>(with_[with_.size() - left_to_replace_--]);
  }
  static void truncate(StageContext& context, Chunk& chunk, std::size_t kept) {
    context.emit(chunk.take(kept));
    context.drop(chunk.size());
    context.end(End::fin);
  }

  Draws draws_;
  BlockPool& blocks_;
  std::atomic<std::uint64_t>* charged_;
  Mode mode_{};
  std::int64_t at_ = -1;
  double rate_ = 0;
  std::string with_;
  Matcher matcher_;
  std::size_t left_to_replace_ = 0;
  std::uint64_t next_ = nowhere;  // the next offset to corrupt
  bool drawn_ = false;
};

auto check(const FaultSpec& spec) -> Result<void> {
  const int given =
      (spec.integer("at") >= 0 ? 1 : 0) + (spec.fraction("rate") > 0 ? 1 : 0) + (spec.text("pattern").empty() ? 0 : 1);
  if (given != 1) return failure("corrupt: say where with exactly one of at (an offset), rate and pattern");
  const bool has_bytes = !spec.text("with").empty();
  if (mode_of(spec) == Mode::replace && !has_bytes) {
    return failure("corrupt: with: it is missing: mode=replace needs the bytes to write, as hex, such as with=00ff");
  }
  if (mode_of(spec) != Mode::replace && has_bytes) {
    return failure("corrupt: with: only mode=replace writes bytes: leave it out, or say mode=replace");
  }
  return {};
}

}  // namespace

const FaultInfo corrupt_fault{
    .type = "corrupt",
    .doc = "Changes bytes: flips a bit, writes others over them, or cuts the stream off",
    .details =
        "Where is said by exactly one of three: `at`, an offset in the stream of the direction; `rate`, a probability "
        "for every byte, drawn by its offset; or `pattern`: then it is the place right behind each occurrence of these "
        "bytes, also where they come in several chunks (so that no byte is kept waiting for the next). What happens "
        "there: `flip` turns over one bit of that byte, drawn by its offset; `replace` writes the bytes of `with` over "
        "those that stand there, so the length stays the same; `truncate` ends the direction with a FIN in front of "
        "that byte.",
    .differs = "",
    .attributes = {{.name = "mode",
                    .kind = AttributeKind::word,
                    .default_value = std::string("flip"),
                    .doc = "What happens to the bytes",
                    .words = {"flip", "replace", "truncate"}},
                   {.name = "at",
                    .kind = AttributeKind::size,
                    .default_value = std::int64_t{-1},
                    .doc = "At this offset, counted from 0",
                    .optional = true},
                   {.name = "rate",
                    .kind = AttributeKind::fraction,
                    .default_value = 0.0,
                    .doc = "At this part of all bytes",
                    .optional = true},
                   {.name = "pattern",
                    .kind = AttributeKind::hex,
                    .default_value = std::string(),
                    .doc = "Behind each occurrence of these bytes",
                    .optional = true},
                   {.name = "with",
                    .kind = AttributeKind::hex,
                    .default_value = std::string(),
                    .doc = "The bytes that mode=replace writes",
                    .optional = true}},
    .check = check,
    .make = [](const Seat& seat) -> std::unique_ptr<Stage> { return std::make_unique<CorruptStage>(seat); }};

}  // namespace weir::fault
