// Messages in a byte stream: the two framings of RFC 6587.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::syslog {

enum class Framing : std::uint8_t {
  octet_counting,   // "11 <34>1 - ...": a length, a blank, the message (section 3.4.1; RFC 5425 too)
  non_transparent,  // a message, then LF (section 3.4.2)
};
[[nodiscard]] auto to_string(Framing framing) -> std::string_view;

// The message as it stands in the stream. Non-transparent: newlines within it become blanks.
[[nodiscard]] auto frame(std::string_view message, Framing framing) -> std::string;

struct Frame {
  std::string text;
  Framing framing = Framing::non_transparent;
  bool cut = false;  // longer than the limit: the rest was thrown away
};

// Takes a stream apart, deciding per frame as rsyslog does: digits without a leading zero, a blank, and
// a '<' after it is a count; everything else is a line ended by LF, CR LF or NUL. Memory is bounded by
// the limit; any input gives some frames. Sans-io, one thread.
class FrameReader {
 public:
  explicit FrameReader(std::size_t limit = default_limit) : limit_(limit) {}
  void add(std::string_view bytes);
  // The next whole frame, if there is one. Empty lines are passed over.
  [[nodiscard]] auto next() -> std::optional<Frame>;
  // At the end of the stream: what is left, as it is.
  [[nodiscard]] auto rest() -> std::optional<Frame>;

  static constexpr std::size_t default_limit = 64 * 1024;

 private:
  struct Count {
    bool undecided = false;  // more bytes are needed to tell
    std::size_t header = 0;  // 0: it is a line
    std::size_t length = 0;
  };
  [[nodiscard]] auto look_for_count() const -> Count;
  auto take_line() -> std::optional<Frame>;
  [[nodiscard]] auto left() const -> std::string_view { return std::string_view(buffer_).substr(begin_); }
  void consume(std::size_t n);

  std::size_t limit_;
  std::string buffer_;
  std::size_t begin_ = 0;      // of what is not yet taken
  std::size_t discard_ = 0;    // bytes of a counted frame beyond the limit, still to come
  bool discard_line_ = false;  // the rest of a line beyond the limit, still to come
};

}  // namespace weir::syslog
