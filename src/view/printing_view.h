#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "event/event.h"
#include "event/session_key.h"
#include "view/encode.h"
#include "view/view.h"

namespace weir::view {

// What every printing view has in common: it decides what of the events is shown (--only, --limit), remembers the live
// sessions as far as that or the times need it, and hands the rest to the printer below. What happens while the output
// is down (a full disk) is left out and counted, and told as a gap once it is written to again. Memory: one map node of
// some 56 bytes per live session that is shown.
class PrintingView : public View {
 public:
  void on_event(const event::Event& event, Nanos wall_offset) final;
  void on_verdict(const event::Verdict& verdict, Nanos wall_offset) final;
  // False once nothing more is to be shown, too (ViewOptions::chunks).
  [[nodiscard]] auto flush() -> bool final;
  [[nodiscard]] auto flush_due() const -> std::optional<Nanos> final { return output_.due(); }
  void set_wake(std::function<void()> wake) final { output_.set_wake(std::move(wake)); }
  void on_end() final;

  // Sessions remembered now; for tests.
  [[nodiscard]] auto live_sessions() const -> std::size_t { return last_shown_.size(); }

 protected:
  // Payload goes through the output in pieces of this size: a whole number of lines of every kind, and
  // of base64 groups, and small enough that a piece and its text stay in the L1 cache.
  static constexpr std::size_t piece = 3072;
  static_assert(piece % hex_line == 0 && piece % dump_line == 0 && piece % 3 == 0);

  // An event and its wall time.
  struct Moment {
    const event::Event& event;
    WallTime wall;
  };
  // What is remembered of a live session.
  struct Remembered {
    MonoTime last_shown;  // its last chunk, or its opening
    bool hinted = false;  // for the printer: it was said what its bytes look like
  };
  struct ShownChunk {
    const event::ChunkRead& read;
    Bytes bytes;                    // those to be shown
    std::size_t cut = 0;            // how many more there are
    std::optional<Nanos> since;     // the session's last shown chunk, or its opening; none if neither was seen
    Remembered* session = nullptr;  // null unless `times`
  };

  // `times`: the printer wants ShownChunk::since.
  PrintingView(const ViewOptions& options, Output& output, bool times);

  virtual void print_opened(const Moment& moment, const event::SessionOpened& opened) = 0;
  virtual void print_chunk(const Moment& moment, const ShownChunk& chunk) = 0;
  virtual void print_half_closed(const Moment& moment, const event::HalfClosed& half_closed) = 0;
  virtual void print_closed(const Moment& moment, const event::SessionClosed& closed) = 0;
  virtual void print_verdict(const Moment& moment, const event::Verdict& verdict) = 0;
  virtual void print_gap(const Moment& moment, const event::Gap& gap) = 0;

  [[nodiscard]] auto output() -> Output& { return output_; }
  // The name of the event's proxy, safe to print, at most longest_proxy_name bytes; empty unless there
  // are several.
  static constexpr std::size_t longest_proxy_name = 255;
  [[nodiscard]] auto proxy_name(const event::Event& event) const -> std::string_view;

 private:
  using Key = event::SessionKey;
  using KeyHash = event::SessionKeyHash;

  void opened(const Moment& moment, const event::SessionOpened& what);
  // False: it is not shown.
  auto chunk(const Moment& moment, const event::ChunkRead& what) -> bool;
  void half_closed(const Moment& moment, const event::HalfClosed& what);
  void closed(const Moment& moment, const event::SessionClosed& what);
  [[nodiscard]] auto shown_name(const std::string& name) const -> std::string;
  [[nodiscard]] auto is_shown(const event::ChunkRead& chunk) const -> bool;
  void lose(const Moment& moment);
  void add_lost(MonoTime time, WallTime wall, const event::Gap& more);
  void tell_lost();

  Output& output_;
  std::optional<Direction> only_;
  std::uint64_t limit_;
  bool remembers_;                    // whether last_shown_ is needed at all
  std::vector<std::string> proxies_;  // empty unless there are several
  std::function<std::string(ProxyId)> name_of_;
  mutable std::unordered_map<ProxyId, std::string> names_;  // that it was asked for
  std::string grep_;
  std::optional<std::uint64_t> chunks_left_;  // to be shown; none: no limit
  bool utf8_;
  // Left out since the output is down, and when that began.
  struct Lost {
    MonoTime time;
    WallTime wall;
    event::Gap gap;
  };
  std::optional<Lost> lost_;
  MonoTime last_time_;  // of the last event
  WallTime last_wall_;
  // The live sessions that are shown.
  std::unordered_map<Key, Remembered, KeyHash> last_shown_;
};

}  // namespace weir::view
