#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cni/spec/error.h"
#include "cni/spec/ip.h"

namespace weir::cni::host_local {

// Addresses start..end (both included) of a subnet, without its gateway. A value.
struct Range {
  Prefix subnet;
  Ip start;
  Ip end;
  Ip gateway;

  [[nodiscard]] auto contains(const Ip& ip) const -> bool { return subnet.contains(ip) && start <= ip && ip <= end; }
  [[nodiscard]] auto to_string() const -> std::string;  // "10.1.0.1-10.1.0.254"
};

// What a configuration says of a range.
struct RangeWish {
  std::optional<Prefix> subnet;
  bool subnet_is_mapped = false;  // written as ::ffff:10.1.0.0/112, an IPv4 address with an IPv6 mask
  std::optional<Ip> start;
  std::optional<Ip> end;
  std::optional<Ip> gateway;
};

// Fills in the defaults (gateway and start: the subnet's first address; end: its last, for IPv4 the last
// before broadcast) and checks all of it, with the reference's messages.
[[nodiscard]] auto make_range(const RangeWish& wish) -> Result<Range>;

// Ranges of one family that are tried in order; an attachment gets one address of each set.
class RangeSet {
 public:
  [[nodiscard]] static auto make(const std::vector<RangeWish>& wishes) -> Result<RangeSet>;

  [[nodiscard]] auto ranges() const -> const std::vector<Range>& { return ranges_; }
  [[nodiscard]] auto is_v4() const -> bool { return ranges_.front().start.is_v4(); }
  // nullptr if no range has it.
  [[nodiscard]] auto range_for(const Ip& ip) const -> const Range*;
  [[nodiscard]] auto to_string() const -> std::string;
  // How many addresses it can give out, gateways not counted; UINT64_MAX stands for that or more.
  [[nodiscard]] auto size() const -> std::uint64_t;

 private:
  std::vector<Range> ranges_;
  std::vector<std::size_t> by_start_;  // their numbers in the order of their addresses
};

// Two of them that have an address in common, as the numbers of their places in `ranges`: the first such pair in the
// order in which one compares each with all behind it, or in a list of thousands any. Ranges of the same `group` do not
// count.
struct Grouped {
  const Range* range;
  std::size_t group;
};
[[nodiscard]] auto find_overlap(const std::vector<Grouped>& ranges)
    -> std::optional<std::pair<std::size_t, std::size_t>>;

// Walks a set in the order of the reference's allocator: from the address after `last` (or the first of
// all), range by range, around, without gateways, until it is where it began; `last` itself comes last.
class Walk {
 public:
  Walk(const RangeSet& set, const std::optional<Ip>& last);
  // The next address with its range; nullopt at the end.
  struct Place {
    Ip ip;
    const Range* range;
  };
  [[nodiscard]] auto next() -> std::optional<Place>;

 private:
  auto step() -> bool;

  const RangeSet* set_;
  std::size_t range_ = 0;
  std::optional<Ip> current_;
  std::optional<Ip> began_;
};

}  // namespace weir::cni::host_local
