#include "proxy/setting_catalog.h"

#include <algorithm>
#include <array>

#include "base/duration.h"
#include "proxy/handshake_catalog.h"

namespace weir::proxy {
namespace {

using event::TimeoutName;

constexpr std::string_view timeouts_group = "timeouts.";

// "none", and those of the catalog in its order.
auto names_of_handshakes() -> std::vector<std::string_view> {
  std::vector<std::string_view> names{no_handshake};
  for (const HandshakeInfo& each : handshake_catalog()) names.push_back(each.name);
  return names;
}

// Rows of proxies' own settings; the timeouts have theirs in event/timeout_name.cpp.
auto own_settings() -> std::vector<SettingInfo> {
  using enum SettingKind;
  using enum TakesEffect;
  return {
      {"listen", listen, reopening, &ProxyRules::listen,
       "Where clients connect: 8888, :8888, host:port or unix:/path; port 0 picks one"},
      {.name = "upstream",
       .kind = upstream,
       .takes_effect = new_sessions,
       .place = &ProxyRules::upstream,
       .doc = "Where sessions are connected to: host:port or unix:/path; a name is looked up for each session",
       .required = true},
      {"enabled", flag, reopening, &ProxyRules::enabled, "Whether it listens; false closes its sessions too"},
      {.name = "handshake",
       .kind = word,
       .takes_effect = new_sessions,
       .place = &ProxyRules::handshake,
       .doc =
           "What a client has to say before the stream: none, or proxy_protocol (who is behind it, by a PROXY header "
           "of version 1 or 2; it is taken off)",
       .words = names_of_handshakes()},
      {.name = "on_connect_failure",
       .kind = word,
       .takes_effect = new_sessions,
       .place = &ProxyRules::on_connect_failure,
       .doc = "What a client gets when the upstream cannot be reached: reset (RST, as from a refused connect) or "
              "close (FIN, as toxiproxy does)",
       .words = {"reset", "close"}},  // in the order of OnConnectFailure
      {.name = "max_sessions",
       .kind = count,
       .takes_effect = new_sessions,
       .place = &ProxyRules::max_sessions,
       .doc = "Sessions at a time; further clients wait to be accepted; off: as many as there are descriptors for",
       .least = 1,
       .most = 1'000'000'000,
       .may_be_off = true},
      // Less than a read would never let one in; more than that is a slip of the pen.
      {"fault_queue_limit", size, new_sessions, &ProxyRules::fault_queue_limit,
       "Bytes that its faults may hold in one direction of one session; then the source is not read", 64 * 1024,
       std::uint64_t{1} << 40},
      {.name = "keepalive_count",
       .kind = count,
       .takes_effect = new_sessions,
       .place = &ProxyRules::keepalive_count,
       .doc = "Unanswered keepalive probes that end a session (TCP_KEEPCNT, tcp(7)); needs tcp.user_timeout=off; "
              "off: the system's",
       .least = 1,
       .most = 127,
       .may_be_off = true},
      {.name = "congestion",
       .kind = name,
       .takes_effect = new_sessions,
       .place = &ProxyRules::congestion,
       .doc = "The congestion control of its TCP legs (TCP_CONGESTION, tcp(7)): auto takes the system's, but reno to "
              "and from peers on loopback where the system's paces what it sends (bbr); system never changes it",
       .most = net::longest_congestion_control,
       .words = {net::automatic_congestion_control, net::system_congestion_control}},
      {"diagnose", flag, open_sessions, &ProxyRules::diagnose,
       "Whether weir serve says who loses the time of its exchanges, and why (docs/causes.md)"},
  };
}

// "timeouts." and its name, which must stay where it is.
auto names_of_timeouts() -> const std::vector<std::string>& {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& info : event::timeout_catalog())
      all.push_back(std::string(timeouts_group) + std::string(info.text));
    return all;
  }();
  return names;
}

// A session looks at its own clocks whenever it asks what is next; what came before, and what the kernel was
// told, is settled.
auto takes_effect(event::ClockPhase phase) -> TakesEffect {
  using enum event::ClockPhase;
  switch (phase) {
    case session:
    case relaying:
    case delivering_before_reset: return TakesEffect::open_sessions;
    case opening:
    case resolving:
    case connecting:
    case stopping:
    case kernel: break;
  }
  return TakesEffect::new_sessions;
}

auto make_catalog() -> std::vector<SettingInfo> {
  auto all = own_settings();
  for (const auto& info : event::timeout_catalog()) {
    // The process drains as a whole: there is no drain time of one proxy.
    if (info.name == TimeoutName::drain) continue;
    all.push_back({.name = names_of_timeouts()[static_cast<std::size_t>(info.name)],
                   .kind = SettingKind::duration,
                   .takes_effect = takes_effect(info.phase),
                   .place = info.name,
                   .doc = info.meaning,
                   .may_be_off = info.may_be_off});
  }
  return all;
}

auto joined(std::span<const std::string_view> words) -> std::string {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    out += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
}

}  // namespace

auto SettingInfo::group() const -> std::string_view {
  const auto dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
}

auto SettingInfo::name_in_group() const -> std::string_view {
  return group().empty() ? name : name.substr(group().size() + 1);
}

auto setting_catalog() -> std::span<const SettingInfo> {
  static const std::vector<SettingInfo> all = make_catalog();
  return all;
}

auto find_setting(std::string_view name) -> const SettingInfo* {
  for (const SettingInfo& each : setting_catalog()) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

auto describe_values(const SettingInfo& setting) -> std::string {
  const std::string off = setting.may_be_off ? ", or off" : "";
  switch (setting.kind) {
    case SettingKind::listen: return "8888, :8888, host:port or unix:/path, as a text";
    case SettingKind::upstream: return "host:port or unix:/path, as a text";
    case SettingKind::flag: return "true or false";
    case SettingKind::word: return joined(setting.words);
    case SettingKind::name: return joined(setting.words) + ", or a name that the kernel knows, such as cubic";
    case SettingKind::count: return fmt::format("a whole number from {} to {}{}", setting.least, setting.most, off);
    case SettingKind::size:
      return fmt::format("a number of bytes from {}KiB to {}GiB, such as 32MiB{}", setting.least >> 10,
                         setting.most >> 30, off);
    case SettingKind::duration: return "a duration such as 250ms, 1.5s or 10m" + off;
  }
  return "";
}

auto to_string(SettingKind kind) -> std::string_view {
  using enum SettingKind;
  switch (kind) {
    case listen: return "listen";
    case upstream: return "upstream";
    case flag: return "flag";
    case word: return "word";
    case name: return "name";
    case count: return "count";
    case size: return "size";
    case duration: return "duration";
  }
  return "";
}

auto to_string(TakesEffect when) -> std::string_view {
  using enum TakesEffect;
  switch (when) {
    case open_sessions: return "open sessions";
    case new_sessions: return "new sessions";
    case reopening: return "reopening";
  }
  return "";
}

auto same(const SettingInfo& setting, const ProxyRules& a, const ProxyRules& b) -> bool {
  return std::visit(
      [&](auto place) {
        if constexpr (std::is_same_v<decltype(place), TimeoutName>) {
          return a.timeouts[place] == b.timeouts[place];
        } else {
          return a.*place == b.*place;
        }
      },
      setting.place);
}

void copy(const SettingInfo& setting, const ProxyRules& from, ProxyRules& to) {
  std::visit(
      [&](auto place) {
        if constexpr (std::is_same_v<decltype(place), TimeoutName>) {
          to.timeouts.set(place, from.timeouts[place]);
        } else {
          to.*place = from.*place;
        }
      },
      setting.place);
}

auto same(const ProxyRules& a, const ProxyRules& b) -> bool {
  return std::ranges::all_of(setting_catalog(), [&](const SettingInfo& each) { return same(each, a, b); });
}

namespace {

// tcp(7): TCP_KEEPIDLE and TCP_KEEPINTVL are at most 32,767 s, and TCP_USER_TIMEOUT an int of milliseconds.
struct KernelRange {
  TimeoutName name;
  Nanos most;
};
constexpr std::array kernel_ranges{
    KernelRange{TimeoutName::tcp_keepalive_idle, std::chrono::seconds{32'767}},
    KernelRange{TimeoutName::tcp_keepalive_interval, std::chrono::seconds{32'767}},
    KernelRange{TimeoutName::tcp_user_timeout, std::chrono::milliseconds{std::numeric_limits<int>::max()}},
};

}  // namespace

auto check(const ProxyRules& rules) -> std::optional<SettingProblem> {
  for (const auto& [name, most] : kernel_ranges) {
    if (const auto value = rules.timeouts[name]; value && *value > most) {
      return SettingProblem{names_of_timeouts()[static_cast<std::size_t>(name)],
                            fmt::format("the kernel takes at most {} (tcp(7))", canonical_duration(most))};
    }
  }
  if (const auto there = net::may_have_congestion_control(rules.congestion); !there) {
    return SettingProblem{"congestion", there.error().message};
  }
  if (!rules.keepalive_count) return std::nullopt;
  if (rules.timeouts[TimeoutName::tcp_user_timeout]) {
    return SettingProblem{"keepalive_count",
                          "it has no effect while the timeout tcp.user_timeout is set, as that ends probing itself "
                          "(tcp(7)); set tcp.user_timeout to off too"};
  }
  if (!rules.timeouts[TimeoutName::tcp_keepalive_idle]) {
    return SettingProblem{"keepalive_count",
                          "it has no effect while the timeout tcp.keepalive.idle is off: drop one of them"};
  }
  return std::nullopt;
}

auto rules_of_open_session(const ProxyRules& theirs, const ProxyRules& now) -> ProxyRules {
  ProxyRules merged = theirs;
  for (const SettingInfo& each : setting_catalog()) {
    if (each.takes_effect == TakesEffect::open_sessions) copy(each, now, merged);
  }
  return merged;
}

}  // namespace weir::proxy
