#include "fault/fault_list.h"

#include <algorithm>

namespace weir::fault {
namespace {

auto entry_of(const std::vector<FaultList::Entry>& entries, std::string_view name) {
  return std::ranges::find_if(entries, [name](const auto& entry) { return entry->name == name; });
}

auto unknown(std::string_view name) -> Failure { return failure(fmt::format("there is no fault named \"{}\"", name)); }

}  // namespace

auto FaultList::find(std::string_view name) const -> const FaultSpec* {
  const auto found = entry_of(entries_, name);
  return found == entries_.end() ? nullptr : found->get();
}

auto FaultList::place_of(std::string_view name) const -> std::optional<std::size_t> {
  const auto found = entry_of(entries_, name);
  if (found == entries_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - entries_.begin());
}

auto FaultList::with(FaultSpec added, std::size_t place) const -> Result<FaultList> {
  if (find(added.name) != nullptr) {
    return failure(fmt::format("there is a fault named \"{}\" already: give this one another name", added.name));
  }
  if (entries_.size() >= most) return failure(fmt::format("a proxy has at most {} faults: remove one first", most));
  auto entries = entries_;
  entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(std::min(place, entries.size())),
                 std::make_shared<const FaultSpec>(std::move(added)));
  return FaultList(std::move(entries), revision_ + 1);
}

auto FaultList::moved(std::string_view name, std::size_t place) const -> Result<FaultList> {
  const auto found = entry_of(entries_, name);
  if (found == entries_.end()) return unknown(name);
  auto entries = entries_;
  entries.erase(entries.begin() + (found - entries_.begin()));
  entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(std::min(place, entries.size())), *found);
  return FaultList(std::move(entries), revision_ + 1);
}

auto FaultList::changed(FaultSpec spec) const -> Result<FaultList> {
  const auto found = entry_of(entries_, spec.name);
  if (found == entries_.end()) return unknown(spec.name);
  auto entries = entries_;
  entries[static_cast<std::size_t>(found - entries_.begin())] = std::make_shared<const FaultSpec>(std::move(spec));
  return FaultList(std::move(entries), revision_ + 1);
}

auto FaultList::without(std::string_view name) const -> Result<FaultList> {
  const auto found = entry_of(entries_, name);
  if (found == entries_.end()) return unknown(name);
  auto entries = entries_;
  entries.erase(entries.begin() + (found - entries_.begin()));
  return FaultList(std::move(entries), revision_ + 1);
}

auto same(const FaultList& a, const FaultList& b) -> bool {
  return std::ranges::equal(a.entries(), b.entries(),
                            [](const FaultList::Entry& x, const FaultList::Entry& y) { return same(*x, *y); });
}

}  // namespace weir::fault
