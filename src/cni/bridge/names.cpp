#include "cni/bridge/names.h"

#include <sys/random.h>

#include <algorithm>

#include "cni/kernel/nft.h"
#include "cni/spec/sha512.h"

namespace weir::cni::bridge {
namespace {

constexpr std::size_t most_alias = 255;  // IFALIASZ, with its zero

// First octet: not multicast, locally administered (IEEE 802, "LAA").
auto made_local(Mac mac) -> Mac {
  mac[0] = static_cast<std::uint8_t>((mac[0] & 0xfeU) | 0x02U);
  return mac;
}

auto is_hex(std::string_view text) -> bool {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

auto host_veth(std::string_view network, const Attachment& owner) -> std::string {
  // A zero byte parts the three: no two different owners make the same text.
  using namespace std::string_view_literals;
  return "veth" + sha512_hex(text({network, "\0"sv, owner.container_id, "\0"sv, owner.ifname}), 11);
}

auto host_mac(std::string_view network, std::string_view link) -> Mac {
  using namespace std::string_view_literals;
  const auto hash = sha512(text({"mac", "\0"sv, network, "\0"sv, link}));
  Mac mac{};
  std::copy_n(hash.begin(), mac.size(), mac.begin());
  return made_local(mac);
}

auto random_mac() -> Mac {
  Mac mac{};
  while (::getrandom(mac.data(), mac.size(), 0) != static_cast<ssize_t>(mac.size())) {
  }
  return made_local(mac);
}

auto alias_of(const LinkAlias& owner) -> std::string {
  auto alias = text({"cni net=", owner.network, " if=", owner.attachment.ifname, " id=", owner.attachment.container_id,
                     " ip=", owner.addresses});
  if (alias.size() > most_alias) alias.resize(most_alias);
  return alias;
}

auto parse_alias(std::string_view alias) -> std::optional<LinkAlias> {
  if (alias.size() >= most_alias) return std::nullopt;
  LinkAlias owner;
  const auto take = [&](std::string_view label, std::string& into) {
    if (!alias.starts_with(label)) return false;
    alias.remove_prefix(label.size());
    into = alias.substr(0, alias.find(' '));
    alias.remove_prefix(into.size());
    return true;
  };
  if (!take("cni net=", owner.network) || !take(" if=", owner.attachment.ifname) ||
      !take(" id=", owner.attachment.container_id) || !take(" ip=", owner.addresses) || !alias.empty()) {
    return std::nullopt;
  }
  return owner;
}

auto addresses_named(const LinkAlias& alias) -> std::vector<Ip> {
  std::vector<Ip> found;
  std::string_view rest = alias.addresses;
  while (!rest.empty()) {
    const auto one = rest.substr(0, rest.find(','));
    if (const auto ip = Ip::parse(one)) found.push_back(*ip);
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
  }
  return found;
}

auto iptables_chain(std::string_view network, std::string_view container) -> std::string {
  return "CNI-" + sha512_hex(text({network, container}), 24);
}

auto iptables_comment(std::string_view network, std::string_view container) -> std::string {
  return text({"name: ", in_quotes(network), " id: ", in_quotes(container)}).substr(0, most_iptables_comment);
}

auto nft_network_hash(std::string_view network) -> std::string { return sha512_hex(network, 16); }

auto nft_hash(std::string_view network, const Attachment& owner) -> std::string {
  return text({nft_network_hash(network), "-", sha512_hex(text({owner.ifname, ":", owner.container_id}), 16)});
}

auto nft_comment(std::string_view network, const Attachment& owner) -> std::string {
  const auto plain = [](std::string_view name) {
    std::string out(name);
    std::erase(out, '"');
    return out;
  };
  auto comment = text({nft_hash(network, owner), ", net: ", plain(network), ", if: ", plain(owner.ifname),
                       ", id: ", plain(owner.container_id)});
  if (comment.size() > nft::most_comment) comment.resize(nft::most_comment);
  return comment;
}

auto nft_hash_in(std::string_view comment) -> std::string_view {
  const auto hash = comment.substr(0, 33);
  const bool good = hash.size() == 33 && hash[16] == '-' && is_hex(hash.substr(0, 16)) && is_hex(hash.substr(17)) &&
                    comment.substr(33).starts_with(", net: ");
  return good ? hash : std::string_view();
}

auto spoof_id(const Attachment& owner) -> std::string { return text({owner.container_id, "-", owner.ifname}); }

}  // namespace weir::cni::bridge
