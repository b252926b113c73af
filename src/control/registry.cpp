#include "control/registry.h"

#include <algorithm>
#include <cerrno>
#include <random>

#include "control/diagnoses.h"

namespace weir::control {

auto make_id() -> std::string {
  // One for all: each that is made asks the processor what it is, which takes 15 us on a virtual machine, and a proxy
  // may come with 256 faults that each want an id.
  static thread_local std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

auto to_string(Owner owner) -> std::string_view { return owner == Owner::api ? "api" : "config"; }

auto shown_listen(std::string_view text) -> std::string {
  return text.starts_with(':') ? "[::]" + std::string(text) : std::string(text);
}

auto Registry::find(std::string_view name) const -> const ProxyEntry* {
  thread_.check("control::Registry");
  const auto found = proxies_.find(name);
  return found == proxies_.end() ? nullptr : &found->second;
}

auto Registry::find(ProxyId id) const -> const ProxyEntry* {
  thread_.check("control::Registry");
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

namespace {

constexpr const char* moved_text = "its proxy was changed";

auto cannot_listen(const ListenAddress& where, const Error& error) -> Refusal {
  return {.kind = RefusalKind::cannot_listen,
          .message = error.message,
          .field = "listen",
          .listen = where,
          .code = error.code};
}

}  // namespace

auto Registry::make_spec(const ProxyEntry& entry) const -> engine::ProxySpec {
  engine::ProxySpec spec;
  spec.name = entry.name;
  spec.rules = entry.rules;
  spec.forbidden = forbidden_;
  spec.faults = entry.faults;
  return spec;
}

void Registry::tell(std::string what, ProxyEntry& entry, std::string fault, std::string why) {
  entry.revision = ++revision_;
  on_change_({std::move(what), entry.name, std::move(fault), entry.revision, std::move(why)});
}

auto Registry::make_ready(const proxy::ProxyRules& rules) -> Outcome<void> {
  const auto ready = diagnoses_ == nullptr ? Result<void>() : diagnoses_->make_ready(rules);
  if (!ready) return refuse(RefusalKind::too_many, ready.error().message, "diagnose");
  return {};
}

void Registry::put_rules(const ProxyEntry& entry) {
  if (diagnoses_ != nullptr) diagnoses_->follow(entry.id, entry.rules);
  engine_.set_rules(entry.id, entry.rules);
}

auto Registry::open(ProxyEntry& entry) -> Outcome<void> {
  entry.kept_port.release();
  return note_listening(entry, engine_.open_proxy(entry.id));
}

auto Registry::note_listening(ProxyEntry& entry, const Result<ListenAddress>& where) -> Outcome<void> {
  entry.listening = where.has_value();
  if (!where) return tl::make_unexpected(cannot_listen(entry.rules.listen, where.error()));
  entry.listen = shown_listen(where->text);
  entry.rules.listen = *where;  // the port that the kernel picked stays its port
  put_rules(entry);
  return {};
}

void Registry::close(ProxyEntry& entry, const std::string& why) {
  if (entry.listening) engine_.close_proxy(entry.id, why);
  entry.listening = false;
}

auto Registry::create(std::string name, proxy::ProxyRules rules, std::shared_ptr<const fault::FaultList> faults,
                      Mark mark) -> Outcome<const ProxyEntry*> {
  thread_.check("control::Registry");
  if (find(name) != nullptr)
    return refuse(RefusalKind::conflict, fmt::format("there is a proxy \"{}\" already", name), "name");
  if (proxies_.size() >= most_proxies) {
    return refuse(RefusalKind::too_many, fmt::format("there are {} proxies already: remove one first", most_proxies));
  }
  if (auto ready = make_ready(rules); !ready) return tl::make_unexpected(ready.error());
  ProxyEntry entry;
  entry.name = name;
  entry.rules = std::move(rules);
  entry.listen = entry.rules.listen.text;
  if (faults) entry.faults = std::move(faults);
  for (const auto& spec : entry.faults->entries()) {
    entry.fault_marks.emplace(spec->name, Mark{.lease = mark.lease, .owner = mark.owner});
  }
  entry.mark = std::move(mark);
  entry.id = engine_.create_proxy(make_spec(entry));
  if (names_ != nullptr) names_->add(entry.id, name);
  if (diagnoses_ != nullptr) diagnoses_->follow(entry.id, entry.rules);
  if (entry.rules.enabled) {
    if (auto opened = open(entry); !opened) {
      engine_.remove_proxy(entry.id);
      if (names_ != nullptr) names_->remove(entry.id);
      if (diagnoses_ != nullptr) diagnoses_->remove(entry.id);
      return tl::make_unexpected(opened.error());
    }
  }
  entry.made_by = engine_.changes();
  ProxyEntry& added = proxies_.emplace(name, std::move(entry)).first->second;
  by_id_.emplace(added.id, &added);
  tell("proxy.created", added);
  return &added;
}

// Before anything is changed, so that nothing is lost if it cannot be bound.
auto Registry::bind(ProxyEntry& entry, const proxy::ProxyRules& rules) -> Result<engine::Listeners> {
  entry.kept_port.release();
  auto listeners = engine_.bind(entry.id, rules);
  const std::uint16_t port = rules.listen.addresses[0].port();  // 0 for a Unix path, which is in no other's way
  const bool in_its_own_way = !listeners && listeners.error().code == EADDRINUSE && entry.listening && port != 0 &&
                              port == entry.rules.listen.addresses[0].port();
  if (!in_its_own_way) return listeners;
  // As where :8888 follows 127.0.0.1:8888.
  close(entry, moved_text);
  listeners = engine_.bind(entry.id, rules);
  if (!listeners) (void)open(entry);
  return listeners;
}

auto Registry::change(std::string_view name, proxy::ProxyRules rules) -> Outcome<const ProxyEntry*> {
  thread_.check("control::Registry");
  ProxyEntry& entry = proxies_.find(name)->second;
  const bool moved = rules.listen != entry.rules.listen;
  const bool wanted = rules.enabled && entry.holds.empty();
  if (auto ready = make_ready(rules); !ready) return tl::make_unexpected(ready.error());
  std::optional<engine::Listeners> listeners;
  if (wanted && (moved || !entry.listening)) {
    auto bound = bind(entry, rules);
    if (!bound) {
      if (diagnoses_ != nullptr) diagnoses_->follow(entry.id, entry.rules);  // as it was
      return tl::make_unexpected(cannot_listen(rules.listen, bound.error()));
    }
    listeners = *std::move(bound);
  }
  if (moved && !listeners) {
    entry.listen = rules.listen.text;
    entry.kept_port.release();
  }
  if (!wanted || listeners) close(entry, rules.enabled ? moved_text : "its proxy was disabled");
  entry.rules = std::move(rules);
  put_rules(entry);
  Outcome<void> opened;
  if (listeners) opened = note_listening(entry, engine_.open_proxy(entry.id, *std::move(listeners)));
  tell("proxy.changed", entry);
  if (!opened) return tl::make_unexpected(opened.error());
  return &entry;
}

auto Registry::change_as_toxiproxy(std::string_view name, proxy::ProxyRules rules) -> Outcome<const ProxyEntry*> {
  thread_.check("control::Registry");
  ProxyEntry& entry = proxies_.find(name)->second;
  const bool moved = rules.listen != entry.rules.listen;
  const bool wanted = rules.enabled && entry.holds.empty();
  if (moved || rules.upstream != entry.rules.upstream || !wanted) {
    close(entry, rules.enabled ? moved_text : "its proxy was disabled");
  }
  if (moved) {
    entry.listen = rules.listen.text;
    entry.kept_port.release();
  }
  entry.rules = std::move(rules);
  put_rules(entry);
  Outcome<void> opened;
  if (wanted && !entry.listening) opened = open(entry);
  if (!opened) entry.rules.enabled = false;
  tell("proxy.changed", entry);
  if (!opened) return tl::make_unexpected(opened.error());
  return &entry;
}

void Registry::make_way(std::string_view name) {
  thread_.check("control::Registry");
  ProxyEntry& entry = proxies_.find(name)->second;
  close(entry, moved_text);
  entry.kept_port.release();
}

void Registry::remove(std::string_view name) {
  thread_.check("control::Registry");
  const auto found = proxies_.find(name);
  if (found == proxies_.end()) return;
  engine_.remove_proxy(found->second.id);
  tell("proxy.removed", found->second);
  if (names_ != nullptr) names_->remove(found->second.id);
  if (diagnoses_ != nullptr) diagnoses_->remove(found->second.id);
  by_id_.erase(found->second.id);
  proxies_.erase(found);
}

void Registry::set_faults(std::string_view name, fault::FaultList list, const Change& change) {
  thread_.check("control::Registry");
  ProxyEntry& entry = proxies_.find(name)->second;
  entry.faults = std::make_shared<fault::FaultList>(std::move(list));
  const auto is_gone = [&](const auto& each) { return entry.faults->find(each.first) == nullptr; };
  std::erase_if(entry.stream_texts, is_gone);
  std::erase_if(entry.fault_marks, is_gone);
  for (const auto& spec : entry.faults->entries()) entry.fault_marks.try_emplace(spec->name);
  engine_.set_faults(entry.id, entry.faults);
  tell(change.what, entry, change.fault);
}

void Registry::note_stream_text(std::string_view name, const std::string& fault, const std::string& text) {
  thread_.check("control::Registry");
  proxies_.find(name)->second.stream_texts[fault] = text;
}

void Registry::mark_fault(std::string_view name, const std::string& fault, Mark mark) {
  thread_.check("control::Registry");
  proxies_.find(name)->second.fault_marks[fault] = std::move(mark);
}

auto Registry::reset(std::string_view name) -> Outcome<void> {
  thread_.check("control::Registry");
  ProxyEntry& entry = proxies_.find(name)->second;
  if (!entry.faults->empty()) set_faults(name, entry.faults->cleared(), {"fault.removed", entry.name, "", 0});
  if (entry.listening) return {};
  entry.rules.enabled = true;
  auto opened = open_if_free(entry);
  entry.rules.enabled = opened.has_value();
  if (opened) tell("proxy.changed", entry);
  return opened;
}

void Registry::look_at_openings() {
  thread_.check("control::Registry");
  for (const engine::FailedOpening& failed : engine_.take_failed_openings()) note_failed(failed);
}

void Registry::note_failed(const engine::FailedOpening& failed) {
  const ProxyEntry* known = find(failed.proxy);
  if (known == nullptr) return;
  ProxyEntry& entry = proxies_.find(known->name)->second;
  close(entry, "it could not be opened");
  failed_openings_.push_back({failed.change, entry.id, cannot_listen(entry.rules.listen, failed.error)});
  constexpr std::size_t most_remembered = 64;
  if (failed_openings_.size() > most_remembered) failed_openings_.pop_front();
  tell("proxy.changed", entry, "", "it does not listen: " + failed.error.message);
}

auto Registry::take_back_failed(std::uint64_t after, std::uint64_t until) -> std::optional<Refusal> {
  const auto found = std::ranges::find_if(
      failed_openings_, [&](const FailedLately& each) { return each.change > after && each.change <= until; });
  if (found == failed_openings_.end()) return std::nullopt;
  // Who changed it meanwhile, so that it listens, or wants it closed, wants it to stay.
  const ProxyEntry* entry = find(found->proxy);
  const bool was_made = entry != nullptr && entry->made_by >= found->change;
  if (was_made && !entry->listening && entry->rules.enabled) remove(std::string(entry->name));
  return found->why;
}

}  // namespace weir::control
