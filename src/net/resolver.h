#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/upstream_address.h"
#include "net/event_loop.h"

namespace weir::net {

using Addresses = std::vector<Address>;

// Turns a name into addresses, when a client connects, through the system's rules.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // `done` runs on `loop`'s thread in a later turn, exactly once, however long the system takes; a
  // caller that gave up meanwhile must recognise that itself. The addresses are in the system's
  // order of preference (RFC 6724), at least one. Callable from every loop's thread.
  using Done = std::function<void(const Result<Addresses>&)>;
  virtual void resolve(const UpstreamAddress::Name& name, EventLoop& loop, Done done) = 0;
};

// getaddrinfo(3) on helper threads, so that nsswitch, /etc/hosts and search domains hold. Callers
// that ask for a name already being looked up share the answer. A lookup cannot be interrupted: a
// dead name server occupies a thread until the C library gives up, so there are a few threads, and
// one name never occupies two. The first one that is made has the C library read its rules. Destroying the resolver
// does not wait for them, and no answer comes after it: a loop that waits for an answer goes after the resolver.
class SystemResolver final : public Resolver {
 public:
  SystemResolver();
  ~SystemResolver() override;
  SystemResolver(const SystemResolver&) = delete;
  auto operator=(const SystemResolver&) -> SystemResolver& = delete;
  void resolve(const UpstreamAddress::Name& name, EventLoop& loop, Done done) override;

  static constexpr unsigned most_threads = 4;

 private:
  struct Shared;
  void give_up(const UpstreamAddress::Name& name, int error);
  std::shared_ptr<Shared> shared_;
};

}  // namespace weir::net
