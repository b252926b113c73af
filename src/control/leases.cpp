#include "control/leases.h"

#include <fmt/format.h>

#include <utility>

#include "control/registry.h"
#include "http/event_stream.h"

namespace weir::control {

// Server-sent events: the lease's id once, then comments.
class Leases::Stream final : public http::BodyStream, private net::Timer {
 public:
  Stream(Leases& leases, std::string id)
      : leases_(leases),
        id_(std::move(id)),
        undo_(net::EventLoop::prepare([owner = &leases, id = id_] { owner->on_end_(id, [] {}); })) {}
  ~Stream() override { leases_.closed(id_, std::move(undo_)); }
  Stream(const Stream&) = delete;
  auto operator=(const Stream&) -> Stream& = delete;

  auto begin(std::function<void()> wake) -> std::string override {
    wake_ = std::move(wake);
    arm();
    std::string text;
    http::append_event(text, {.type = "lease", .data = fmt::format("{{\"lease\":\"{}\"}}", id_)});
    return text;
  }
  auto more(std::size_t) -> std::string override {
    return std::string(std::exchange(due_, false) ? http::event_comment : "");
  }
  [[nodiscard]] auto patience() const -> std::optional<Nanos> override { return Leases::patience; }

 private:
  void on_timer() override {
    due_ = true;
    wake_();  // mutant: lease-heartbeat-stops
    arm();
  }
  void arm() { leases_.loop_.wheel().arm(*this, leases_.loop_.now() + heartbeat); }

  Leases& leases_;
  std::string id_;
  net::EventLoop::Prepared undo_;  // made at the beginning: at the end there may be no memory for it
  std::function<void()> wake_;
  bool due_ = false;
};

auto Leases::open() -> Opened {
  loop_.assert_on_loop_thread();
  if (held_.size() >= most_leases) return {};
  std::string id = make_id() + make_id();
  auto stream = std::make_unique<Stream>(*this, id);
  held_.emplace(id, loop_.now());
  return {std::move(id), std::move(stream)};
}

auto Leases::end(const std::string& id, std::function<void()> then) -> bool {
  loop_.assert_on_loop_thread();
  if (held_.erase(id) == 0) return false;
  on_end_(id, std::move(then));
  return true;
}

// Runs inside the connection's end: undoing comes after that.
void Leases::closed(const std::string& id, net::EventLoop::Prepared undo) {
  loop_.assert_on_loop_thread();
  if (held_.erase(id) == 0 || abandoned_) return;  // mutant: lease-ends-twice
  loop_.post(std::move(undo));
}

}  // namespace weir::control
