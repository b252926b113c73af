#include "control/registry.h"

#include <algorithm>
#include <random>

#include "control/go_address.h"

namespace weir::control {

auto make_id() -> std::string {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

auto to_string(Owner owner) -> std::string_view { return owner == Owner::api ? "api" : "config"; }

auto Registry::find(std::string_view name) const -> const ProxyEntry* {
  const auto found = proxies_.find(name);
  return found == proxies_.end() ? nullptr : &found->second;
}

auto Registry::find(ProxyId id) const -> const ProxyEntry* {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

auto Registry::make_spec(const ProxyEntry& entry) const -> engine::ProxySpec {
  engine::ProxySpec spec;
  spec.name = entry.wish.name;
  spec.listen = engine::BindAddress{entry.wish.listen};
  spec.upstream = entry.wish.upstream;
  spec.timeouts = entry.wish.timeouts;
  spec.on_connect_failure = entry.wish.on_connect_failure;
  spec.max_sessions = entry.wish.max_sessions;
  spec.fault_queue_limit = entry.wish.fault_queue_limit;
  spec.forbidden = forbidden_;
  spec.faults = entry.faults;
  return spec;
}

void Registry::tell(std::string what, ProxyEntry& entry, std::string fault) {
  entry.revision = ++revision_;
  on_change_({std::move(what), entry.wish.name, std::move(fault), entry.revision});
}

auto Registry::open(ProxyEntry& entry) -> Answer<void> {
  entry.kept_port.let_go();
  engine_.change_proxy(entry.id, make_spec(entry));
  const auto text = engine_.open_proxy(entry.id);
  if (!text) return refuse(500, go_listen_error(entry.wish.listen, text.error()));
  entry.enabled = true;
  entry.listen = shown_listen(*text);
  // The port that the kernel picked stays its port.
  if (auto kept = ListenAddress::parse(*text)) entry.wish.listen = *std::move(kept);
  return {};
}

auto Registry::create(ProxyWish wish, std::shared_ptr<const fault::FaultList> faults, Mark mark)
    -> Answer<const ProxyEntry*> {
  if (find(wish.name) != nullptr) return refuse(409, "proxy already exists");
  if (proxies_.size() >= most_proxies) {
    return refuse(409, fmt::format("there are {} proxies already: remove one first", most_proxies));
  }
  ProxyEntry entry;
  entry.wish = std::move(wish);
  entry.listen = entry.wish.listen_text;
  if (faults) entry.faults = std::move(faults);
  for (const auto& spec : entry.faults->entries()) {
    entry.fault_marks.emplace(spec->name, Mark{.lease = mark.lease, .owner = mark.owner});
  }
  entry.mark = std::move(mark);
  entry.id = engine_.create_proxy(make_spec(entry));
  if (names_ != nullptr) names_->add(entry.id, entry.wish.name);
  if (entry.wish.enabled) {
    if (auto opened = open(entry); !opened) {
      engine_.remove_proxy(entry.id);
      return tl::make_unexpected(opened.error());
    }
  }
  const std::string name = entry.wish.name;
  ProxyEntry& added = proxies_.emplace(name, std::move(entry)).first->second;
  by_id_.emplace(added.id, &added);
  tell("proxy.created", added);
  return &added;
}

auto Registry::change(std::string_view name, ProxyWish wish) -> Answer<const ProxyEntry*> {
  ProxyEntry& entry = proxies_.find(name)->second;
  const bool moved = shown_listen(wish.listen.text) != entry.listen && wish.listen.text != entry.wish.listen.text;
  const ProxyWish before = std::exchange(entry.wish, std::move(wish));
  const bool other_rule = before.upstream.text != entry.wish.upstream.text || before.timeouts != entry.wish.timeouts ||
                          before.on_connect_failure != entry.wish.on_connect_failure ||
                          before.max_sessions != entry.wish.max_sessions ||
                          before.fault_queue_limit != entry.wish.fault_queue_limit;
  if (!moved) entry.wish.listen = before.listen;
  const bool wanted = entry.wish.enabled && entry.holds.empty();
  if (entry.enabled && (moved || other_rule || !wanted)) {
    (void)engine_.close_proxy(entry.id, entry.wish.enabled ? "its proxy was changed" : "its proxy was disabled");
    entry.enabled = false;
  }
  if (moved) {
    entry.listen = entry.wish.listen_text;
    entry.kept_port.let_go();
  }
  Answer<void> opened;
  if (wanted && !entry.enabled) opened = open(entry);
  if (!opened) entry.wish.enabled = false;
  tell("proxy.changed", entry);
  if (!opened) return tl::make_unexpected(opened.error());
  return &entry;
}

void Registry::remove(std::string_view name) {
  const auto found = proxies_.find(name);
  if (found == proxies_.end()) return;
  engine_.remove_proxy(found->second.id);
  tell("proxy.removed", found->second);
  by_id_.erase(found->second.id);
  proxies_.erase(found);
}

void Registry::set_faults(std::string_view name, fault::FaultList list, const Change& change) {
  ProxyEntry& entry = proxies_.find(name)->second;
  entry.faults = std::make_shared<fault::FaultList>(std::move(list));
  const auto is_gone = [&](const auto& each) { return entry.faults->find(each.first) == nullptr; };
  std::erase_if(entry.stream_texts, is_gone);
  std::erase_if(entry.fault_marks, is_gone);
  for (const auto& spec : entry.faults->entries()) entry.fault_marks.try_emplace(spec->name);
  (void)engine_.set_faults(entry.id, entry.faults, loop_patience);
  tell(change.what, entry, change.fault);
}

void Registry::note_stream_text(std::string_view name, const std::string& fault, const std::string& text) {
  proxies_.find(name)->second.stream_texts[fault] = text;
}

void Registry::mark_fault(std::string_view name, const std::string& fault, Mark mark) {
  proxies_.find(name)->second.fault_marks[fault] = std::move(mark);
}

auto Registry::reset() -> Answer<void> {
  Answer<void> outcome;
  for (auto& [name, entry] : proxies_) {
    if (!entry.faults->empty()) set_faults(name, entry.faults->cleared(), {"fault.removed", name, "", 0});
    if (entry.enabled) continue;
    entry.wish.enabled = true;
    auto opened = open_if_free(entry);
    entry.wish.enabled = opened.has_value();
    if (!opened) {
      outcome = std::move(opened);
    } else {
      tell("proxy.changed", entry);
    }
  }
  return outcome;
}

}  // namespace weir::control
