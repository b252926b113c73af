#include "cni/bridge/nft_change.h"

#include <poll.h>

#include <cerrno>
#include <utility>

namespace weir::cni::bridge {

namespace {

constexpr int most_changes_tried = 20;

// A transaction loses against another that touches the same things; it is then built and sent again.
auto is_race(const Refusal& refusal) -> bool {
  return refusal.code == EEXIST || refusal.code == ENOENT || refusal.code == EAGAIN || refusal.code == EINTR ||
         refusal.code == EBUSY;
}

}  // namespace

auto failed(std::string_view what, const Refusal& refusal) -> Failure {
  return fail(text({what, ": nftables: ", refusal.words()}));
}

auto change(NetlinkSocket& socket, std::string_view what, const Make& make) -> Result<void> {
  Refusal last;
  for (int tries = 0; tries < most_changes_tried; ++tries) {
    auto messages = make(last);
    if (!messages && messages.error().code == EINTR) {
      (void)::poll(nullptr, 0, tries + 1);  // ms: others change more often than a long list can be read
      last = messages.error();
      continue;
    }
    if (!messages) return failed(what, messages.error());
    const auto sent = socket.transact(std::move(*messages));
    if (sent) return {};
    last = sent.error();
    if (!is_race(last)) break;
  }
  return failed(what, last);
}

auto look_at(NetlinkSocket& socket, const nft::Table& table, std::string_view chain, const nft::Hook& hook)
    -> Answer<Ground> {
  Ground ground;
  const auto state = nft::table_state(socket, table);
  if (!state) return tl::unexpected(state.error());
  ground.table = *state;
  if (ground.table == nft::TableState::none) return ground;
  const auto base = nft::base_chain_state(socket, table, chain, hook);
  if (!base) return tl::unexpected(base.error());
  ground.base = *base;
  return ground;
}
auto usable(const Ground& ground, const nft::Table& table, std::string_view chain, const nft::Hook& hook)
    -> Answer<void> {
  if (ground.table == nft::TableState::asleep) {
    return tl::unexpected(Refusal{EINVAL, text({"table ", table.name, " has the flag dormant: take it away"}), 0});
  }
  if (ground.base != nft::ChainState::other) return {};
  return tl::unexpected(Refusal{EINVAL,
                                text({"chain ", chain, " of table ", table.name, " is not of type ", hook.type,
                                      " at the hook where packets must pass it: rename or delete it"}),
                                0});
}

}  // namespace weir::cni::bridge
