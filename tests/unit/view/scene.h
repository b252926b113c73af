// What a view's test needs: sessions that open, send and close at set times, and what was printed.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/addresses.h"
#include "base/block.h"
#include "base/fd.h"
#include "view/view.h"

namespace weir::view {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

// The text view as a UTF-8 terminal has it.
inline auto text() -> ViewOptions { return {.kind = ViewKind::text, .utf8 = true}; }

// Local times in the tests are those of UTC unless a test says otherwise.
inline void set_zone(const char* tz) {
  ::setenv("TZ", tz, 1);
  ::tzset();
}

// 2023-11-14T22:13:20Z is when a scene starts; the monotonic clock then stands at 1000 s.
class Scene {
 public:
  explicit Scene(ViewOptions options) : options_(std::move(options)) {
    set_zone("UTC0");
    view_ = make_view(options_, output_);
  }

  // Time passes.
  auto after(Nanos by) -> Scene& {
    now_ += by;
    return *this;
  }

  void opened(std::uint64_t session, Address client = ip("127.0.0.1", 51234)) {
    tell(session,
         std::make_shared<event::SessionOpened>(event::SessionOpened{std::move(client), ip("10.0.0.5", 5432), 412us}));
  }
  void up(std::uint64_t session, std::string_view bytes) { chunk(session, Direction::upstream, bytes); }
  void down(std::uint64_t session, std::string_view bytes) { chunk(session, Direction::downstream, bytes); }
  void chunk(std::uint64_t session, Direction direction, std::string_view bytes, std::uint64_t offset = 0) {
    tell(session, event::ChunkRead{pool_.copy(std::as_bytes(std::span(bytes))), offset, std::nullopt, direction});
  }
  void half_closed(std::uint64_t session, Direction direction, const char* fault = nullptr) {
    event::HalfClosed what{.direction = direction};
    if (fault != nullptr) what.fault = std::make_shared<const std::string>(fault);
    tell(session, std::move(what));
  }
  void closed(std::uint64_t session, event::SessionClosed what) {
    tell(session, std::make_shared<event::SessionClosed>(std::move(what)));
  }
  void verdict(std::uint64_t session, event::Verdict what) {
    what.time = now_;
    what.proxy = proxy_;
    what.session = SessionNumber{session};
    view_->on_verdict(what, wall_offset_);
  }
  void gap(event::Gap what) { tell(0, what); }
  void tell(std::uint64_t session, event::What what) {
    view_->on_event({now_, proxy_, SessionNumber{session}, std::move(what)}, wall_offset_);
  }
  void on_proxy(std::uint32_t proxy) { proxy_ = ProxyId{proxy}; }

  // What was printed since the last call.
  auto printed() -> std::string {
    EXPECT_TRUE(view_->flush());
    std::string text(static_cast<std::size_t>(::lseek(file_.get(), 0, SEEK_END) - read_), '\0');
    EXPECT_EQ(::pread(file_.get(), text.data(), text.size(), read_), static_cast<ssize_t>(text.size()));
    read_ += static_cast<off_t>(text.size());
    return text;
  }
  auto view() -> event::Observer& { return *view_; }

 private:
  Fd file_{::memfd_create("view", MFD_CLOEXEC)};
  Output output_{file_.get()};
  off_t read_ = 0;
  BlockPool pool_;
  ViewOptions options_;
  std::unique_ptr<View> view_;
  ProxyId proxy_{};
  MonoTime now_{1000s};
  Nanos wall_offset_ = 1'700'000'000s - 1000s;
};

// How a session ended in order, after 100 bytes up and 2000 down.
inline auto server_fin() -> event::SessionClosed {
  return {.cause = {.reason = event::CloseReason::server_fin, .after = 1880ms},
          .detail = "",
          .client = ip("127.0.0.1", 51234),
          .upstream = ip("10.0.0.5", 5432),
          .age = 1880ms,
          .longest_silence = 1500ms,
          .totals = {{{.bytes = 100, .chunks = 1}, {.bytes = 2000, .chunks = 2}}}};
}

// A session whose upstream refused; it never opened.
inline auto refused(Address client = ip("127.0.0.1", 51234)) -> event::SessionClosed {
  return {.cause = {.reason = event::CloseReason::connect_refused, .after = 1200us},
          .detail = "10.0.0.5:5432: connection refused",
          .client = std::move(client),
          .upstream = std::nullopt,
          .age = 1200us};
}

}  // namespace weir::view
