#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fault/spec.h"

namespace weir::fault {

// The faults of one proxy in the order in which a chunk meets them: an immutable value, shared by the
// workers. A change is a new list. A fault that is the same object in both lists is not touched.
class FaultList {
 public:
  using Entry = std::shared_ptr<const FaultSpec>;

  FaultList() = default;
  FaultList(std::vector<Entry> entries, std::uint64_t revision) : entries_(std::move(entries)), revision_(revision) {}

  [[nodiscard]] auto entries() const -> const std::vector<Entry>& { return entries_; }
  [[nodiscard]] auto empty() const -> bool { return entries_.empty(); }
  // Grows by one with every change; 0 is the empty list that a proxy starts with.
  [[nodiscard]] auto revision() const -> std::uint64_t { return revision_; }
  [[nodiscard]] auto find(std::string_view name) const -> const FaultSpec*;

  // What a proxy may have: every fault is a stage in every session.
  static constexpr std::size_t most = 256;

  // The list after a change; this one stays as it is. The error says which name is taken or unknown, or
  // that there are `most` already.
  // At `place`, counted from 0; at the end if there are fewer.
  [[nodiscard]] auto with(FaultSpec added, std::size_t place = at_the_end) const -> Result<FaultList>;
  [[nodiscard]] auto changed(FaultSpec spec) const -> Result<FaultList>;  // the fault of that name, in its place
  [[nodiscard]] auto moved(std::string_view name, std::size_t place) const -> Result<FaultList>;
  // None: there is no fault of that name.
  [[nodiscard]] auto place_of(std::string_view name) const -> std::optional<std::size_t>;
  [[nodiscard]] auto without(std::string_view name) const -> Result<FaultList>;
  [[nodiscard]] auto cleared() const -> FaultList { return {{}, revision_ + 1}; }

  static constexpr std::size_t at_the_end = static_cast<std::size_t>(-1);

 private:
  std::vector<Entry> entries_;
  std::uint64_t revision_ = 0;
};

// The same faults in the same order, whatever their revisions.
[[nodiscard]] auto same(const FaultList& a, const FaultList& b) -> bool;

}  // namespace weir::fault
