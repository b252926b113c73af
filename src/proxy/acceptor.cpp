#include "proxy/acceptor.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/out_of_memory.h"
#include "net/descriptors.h"

namespace weir::proxy {
namespace {

// A client on its way to the worker that is to serve it. Where it does not get there, it closes.
struct HandedOver {
  std::shared_ptr<ProxyShared> shared;
  Address address;
  SessionNumber number;
  Fd client{};
  net::PromisedDescriptor upstream{};

  HandedOver(std::shared_ptr<ProxyShared> of, Address from, SessionNumber as)
      : shared(std::move(of)), address(std::move(from)), number(as) {}
  HandedOver(const HandedOver&) = delete;
  auto operator=(const HandedOver&) -> HandedOver& = delete;
  ~HandedOver() {
    if (!client) return;
    shared->session_ended();
    if (shared->on_place_free) shared->on_place_free();
  }
};

}  // namespace

Acceptor::Acceptor(Worker& worker, ProxyOnWorker& proxy, std::shared_ptr<const Fd> listener)
    : worker_(worker), proxy_(proxy), listener_(std::move(listener)) {
  if (const auto here = net::local_address(listener_->get())) is_on_loopback_ = here->is_loopback();
}

Acceptor::~Acceptor() {
  note_held_up(0);
  if (watching_) worker_.loop().unwatch(token_, listener_->get());
}

auto Acceptor::start() -> Result<void> {
  // EXCLUSIVE: a new connection wakes one worker, not all (epoll_ctl(2)).
  const auto events =
      static_cast<std::uint32_t>(EPOLLIN) | (proxy_.peers.size() > 1 ? static_cast<std::uint32_t>(EPOLLEXCLUSIVE) : 0u);
  auto token = worker_.loop().watch(listener_->get(), *this, events);
  if (!token) return tl::make_unexpected(token.error());
  token_ = *token;
  watching_ = true;
  note_held_up(0);
  return {};
}

void Acceptor::on_ready(std::uint32_t) {
  for (int i = 0; i < accepts_per_turn && watching_; ++i) {
    if (!accept_one()) return;
  }
}

auto Acceptor::at_capacity() const -> bool {
  const auto most = proxy_.settings->rules.max_sessions;
  return net::descriptors_are_short() || (most && proxy_.shared->places.load(std::memory_order_relaxed) >= *most) ||
         !proxy_.observers.accepts_sessions();
}

void Acceptor::note_held_up(event::Fanout::Places by) {
  const auto before = std::exchange(held_up_by_, by);
  proxy_.observers.count_held_up(event::HeldUp::Who::listener, before, by, worker_.loop().now());
}

// The next session's number, or 0 if all that may be accepted were.
auto Acceptor::claim_number() -> std::uint64_t {
  const auto limit = proxy_.settings->accept_limit;
  std::uint64_t accepted = proxy_.shared->accepted.load(std::memory_order_relaxed);
  do {
    if (limit && accepted >= *limit) return 0;
  } while (!proxy_.shared->accepted.compare_exchange_weak(accepted, accepted + 1, std::memory_order_relaxed));
  return accepted + 1;
}

auto Acceptor::accept_one() -> bool {
  ProxyShared& shared = *proxy_.shared;
  // Before accepting: who cannot be served yet stays in the kernel's queue.
  if (at_capacity() || !shared.take_place(proxy_.settings->rules.max_sessions)) {
    wait(true, true);
    return false;
  }
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  Fd client(::accept4(listener_->get(), reinterpret_cast<sockaddr*>(&storage), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  const int error = client ? 0 : errno;
  const std::uint64_t number = client ? claim_number() : 0;
  if (number == 0) {
    shared.give_place_back();
    if (shared.on_place_free) shared.on_place_free();
  }
  if (error != 0) return goes_on_after(error);
  if (number == 0) {  // another worker took the last: as if it had never been accepted
    net::reset_on_close(client.get());
    close_listener();
    return false;
  }
  (void)net::is_kept_descriptor(client.get());  // then this session is the last for now
  shared.session_began();
  if (number == proxy_.settings->accept_limit) close_all_listeners();
  Address address;
  (void)contained([&] {
    if (auto known = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), length)) address = *std::move(known);
  });
  if (!is_on_loopback_) {
    net::choose_accepted_congestion_control(client.get(), proxy_.settings->rules.congestion, address);
  }
  dispatch(std::move(client), std::move(address), SessionNumber{number});
  return true;
}

// May more be there after accept(2) failed so? Whatever lasts, such as no descriptor left or a socket
// that another process shut down, would be announced without end, being level-triggered: the commonest
// spin of all proxies. So it waits.
auto Acceptor::goes_on_after(int error) -> bool {
  switch (error) {
    case EAGAIN: return false;
    case EINTR:
    case ECONNABORTED:  // these tell of a connection that died in the queue (accept(2))
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET: return true;
    case EINVAL:  // it does not listen any more (accept(2)): no want of ours, so it counts as no pause
    default: wait(false, error != EINVAL); return false;
  }
}

// Of this proxy, on every worker.
void Acceptor::close_all_listeners() {
  for (Worker* peer : proxy_.peers) {
    if (peer == &worker_) continue;
    // One that does not hear of it closes its own when it accepts one too many.
    (void)contained([&] {
      peer->loop().post([peer, index = proxy_.index] {
        const ProxyOnWorker* proxy = peer->find_proxy(index);
        if (proxy == nullptr) return;
        for (const auto& acceptor : proxy->acceptors) acceptor->close_listener();
      });
    });
  }
  for (const auto& acceptor : proxy_.acceptors) acceptor->close_listener();
}

void Acceptor::close_listener() {
  if (watching_) worker_.loop().unwatch(token_, listener_->get());
  watching_ = false;
  waiting_for_capacity_ = false;
  note_held_up(0);
  worker_.loop().wheel().disarm(*this);
  listener_.reset();
}

// To the less loaded worker of two random ones.
void Acceptor::dispatch(Fd client, Address address, SessionNumber number) {
  const auto& peers = proxy_.peers;
  if (peers.size() > 1) {
    random_ ^= random_ << 13, random_ ^= random_ >> 17, random_ ^= random_ << 5;  // xorshift32
    Worker* a = peers[random_ % peers.size()];
    Worker* b = peers[(random_ >> 16) % peers.size()];
    Worker* chosen = a->load() <= b->load() ? a : b;
    // Where there is no memory to hand it over, it stays.
    if (chosen != &worker_ && contained([&] { hand_over(*chosen, client, address, number); })) return;
  }
  worker_.adopt(proxy_, std::move(client), std::move(address), number);
}

// Takes the client only if nothing can fail any more.
void Acceptor::hand_over(Worker& chosen, Fd& client, const Address& address, SessionNumber number) {
  const auto newcomer = std::make_shared<HandedOver>(proxy_.shared, address, number);
  auto task = net::EventLoop::prepare([to = &chosen, index = proxy_.index, newcomer] {
    ProxyOnWorker* proxy = to->find_proxy(index);
    if (proxy == nullptr || !proxy->open) return;  // closed or removed meanwhile
    to->adopt(*proxy, std::move(newcomer->client), std::move(newcomer->address), newcomer->number);
  });
  newcomer->client = std::move(client);
  chosen.loop().post(std::move(task));
}

void Acceptor::wait(bool for_capacity, bool counts) {
  if (!watching_) return;
  watching_ = false;
  worker_.loop().unwatch(token_, listener_->get());
  if (counts) proxy_.shared->refused_accepts.fetch_add(1, std::memory_order_relaxed);
  waiting_for_capacity_ = for_capacity;
  if (for_capacity) note_held_up(proxy_.observers.refusing_sessions());
  worker_.loop().wheel().arm(*this, worker_.loop().now() + pause);
}

void Acceptor::on_timer() {
  if (watching_ || !listener_) return;
  if (waiting_for_capacity_) note_held_up(proxy_.observers.refusing_sessions());
  // Still full is no new wait to be counted, and nothing to ask the kernel about.
  bool started = false;
  if (!waiting_for_capacity_ || !at_capacity()) (void)contained([&] { started = start().has_value(); });
  if (!started) {
    worker_.loop().wheel().arm(*this, worker_.loop().now() + pause);
    return;
  }
  waiting_for_capacity_ = false;
}

void Acceptor::settings_changed() {
  if (!listener_) return;
  net::change_stream_options(listener_->get(), proxy_.settings->rules.stream_options());
  capacity_freed();
}

void Acceptor::capacity_freed() {
  if (watching_ || !waiting_for_capacity_) return;
  worker_.loop().wheel().disarm(*this);
  on_timer();
}

}  // namespace weir::proxy
