#pragma once

#include <memory>

#include "net/event_loop.h"
#include "proxy/worker.h"

namespace weir::proxy {

// Accepts on one listening socket for one worker; all workers of a proxy watch the same socket, and
// each hands every second choice to the less loaded of two (a shared epoll listener is LIFO: left
// alone, one worker takes nearly all).
// Level-triggered: what is not accepted now is announced again. Waits instead of spinning when
// descriptors or memory are short, when max_sessions live, or when an observer is far behind. Lets go
// of the socket when accept_limit is reached: who comes then is refused.
class Acceptor final : private net::ReadyHandler, private net::Timer {
 public:
  // The socket is shared with the other workers' acceptors; it closes with the last of them.
  Acceptor(Worker& worker, ProxyOnWorker& proxy, std::shared_ptr<const Fd> listener);
  ~Acceptor() override;

  [[nodiscard]] auto start() -> Result<void>;
  // The listener takes the settings that the kernel keeps (accepted sockets inherit them), and looks again.
  void settings_changed();
  // A session ended or an observer caught up: look again if that was what it waited for.
  void capacity_freed();

  // HAProxy's measurement: 4 a wake-up beat 64 at every thread count.
  static constexpr int accepts_per_turn = 4;
  static constexpr Nanos pause = std::chrono::milliseconds{100};

 private:
  void on_ready(std::uint32_t events) override;
  void on_timer() override;
  // False: nothing more to accept now.
  auto accept_one() -> bool;
  [[nodiscard]] auto goes_on_after(int error) -> bool;
  void wait(bool for_capacity, bool counts);
  [[nodiscard]] auto at_capacity() const -> bool;
  void note_held_up(event::Fanout::Places by);
  [[nodiscard]] auto claim_number() -> std::uint64_t;
  void close_all_listeners();
  void close_listener();
  void dispatch(Fd client, Address address, SessionNumber number);
  void hand_over(Worker& chosen, Fd& client, const Address& address, SessionNumber number);

  Worker& worker_;
  ProxyOnWorker& proxy_;
  std::shared_ptr<const Fd> listener_;  // null: the limit was reached
  net::WatchToken token_;
  std::uint32_t random_ = 0x9e3779b9;
  bool is_on_loopback_ = false;
  bool watching_ = false;
  bool waiting_for_capacity_ = false;
  event::Fanout::Places held_up_by_ = 0;  // rings of observers
};

}  // namespace weir::proxy
