#include "cni/host_local/range.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace weir::cni::host_local {
namespace {

auto overlap(const Range& a, const Range& b) -> bool {
  if (a.start.is_v4() != b.start.is_v4()) return false;
  return a.contains(b.start) || a.contains(b.end) || b.contains(a.start) || b.contains(a.end);
}

// The number from the upper or lower eight bytes of an address, as a big-endian number.
auto half(const Ip& ip, bool upper) -> std::uint64_t {
  const auto bytes = ip.bytes();
  if (bytes.size() == 4) {
    if (upper) return 0;
    return (std::uint64_t{bytes[0]} << 24U) | (std::uint64_t{bytes[1]} << 16U) | (std::uint64_t{bytes[2]} << 8U) |
           bytes[3];
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = (value << 8U) | bytes[(upper ? 0 : 8) + i];
  return value;
}

// Addresses of one range; UINT64_MAX if there are that many or more.
auto count(const Range& range) -> std::uint64_t {
  const auto low = half(range.end, false) - half(range.start, false);
  const auto high =
      half(range.end, true) - half(range.start, true) - (half(range.end, false) < half(range.start, false));
  if (high != 0 || low == UINT64_MAX) return UINT64_MAX;
  return low + 1 - (range.contains(range.gateway) ? 1 : 0);
}

}  // namespace

auto Range::to_string() const -> std::string { return start.to_string() + "-" + end.to_string(); }

auto make_range(const RangeWish& wish) -> Result<Range> {
  if (!wish.subnet) return fail("IP <nil> not v4 nor v6");
  const auto& subnet = *wish.subnet;
  if (subnet.length + 2 > subnet.ip.bits()) {
    return fail(text({"Network ", subnet.to_string(), " too small to allocate from"}));
  }
  if (wish.subnet_is_mapped) return fail("IPNet IP and Mask version mismatch");
  const Ip network = subnet.ip.masked(subnet.length);
  if (network != subnet.ip) {
    return fail(text({"Network has host bits set. For a subnet mask of length ", std::to_string(subnet.length),
                      " the network address is ", network.to_string()}));
  }
  const auto outside = [&](std::string_view which, const Ip& ip) {
    return fail(text({which, " ", ip.to_string(), " not in network ", subnet.to_string()}));
  };
  const Ip last = subnet.ip.filled(subnet.length);
  Range range{.subnet = subnet,
              .start = network.next(),
              .end = subnet.ip.is_v4() ? last.previous() : last,
              .gateway = wish.gateway.value_or(network.next())};
  if (wish.start) {
    range.start = *wish.start;
    // A start behind the end is reported as the reference does.
    if (!subnet.contains(*wish.start) || (wish.end && *wish.start > *wish.end))
      return outside("RangeStart", *wish.start);
  }
  if (wish.end) {
    range.end = *wish.end;
    if (!subnet.contains(*wish.end) || *wish.end < range.start) return outside("RangeEnd", *wish.end);
  }
  return range;
}

auto RangeSet::make(const std::vector<RangeWish>& wishes) -> Result<RangeSet> {
  if (wishes.empty()) return fail("empty range set");
  RangeSet set;
  for (const auto& wish : wishes) {
    auto range = make_range(wish);
    if (!range) return Failure(range.error());
    if (!set.ranges_.empty() && range->start.is_v4() != set.is_v4()) return fail("mixed address families");
    set.ranges_.push_back(*range);
  }
  std::vector<Grouped> all;
  for (const auto& range : set.ranges_) all.push_back({&range, all.size()});
  if (const auto pair = find_overlap(all)) {
    return fail(text({"subnets ", set.ranges_[pair->first].to_string(), " and ", set.ranges_[pair->second].to_string(),
                      " overlap"}));
  }
  set.by_start_.resize(set.ranges_.size());
  std::iota(set.by_start_.begin(), set.by_start_.end(), std::size_t{0});
  std::sort(set.by_start_.begin(), set.by_start_.end(),
            [&](std::size_t a, std::size_t b) { return set.ranges_[a].start < set.ranges_[b].start; });
  return set;
}

auto find_overlap(const std::vector<Grouped>& ranges) -> std::optional<std::pair<std::size_t, std::size_t>> {
  constexpr std::size_t few = 2000;  // of which all pairs can be looked at
  std::vector<std::size_t> order(ranges.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return ranges[a].range->start < ranges[b].range->start; });
  // Of those before, the one that ends last. Ranges of one group never overlap each other.
  std::optional<std::pair<std::size_t, std::size_t>> found;
  for (std::size_t i = 1, last = 0; i < order.size() && !found; ++i) {
    const auto a = order[last];
    const auto b = order[i];
    if (ranges[a].group != ranges[b].group && overlap(*ranges[a].range, *ranges[b].range)) found = std::minmax(a, b);
    if (!overlap(*ranges[a].range, *ranges[b].range) || ranges[a].range->end < ranges[b].range->end) last = i;
  }
  if (!found || ranges.size() > few) return found;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    for (std::size_t j = i + 1; j < ranges.size(); ++j) {
      if (ranges[i].group != ranges[j].group && overlap(*ranges[i].range, *ranges[j].range)) return std::pair(i, j);
    }
  }
  return found;
}

auto RangeSet::range_for(const Ip& ip) const -> const Range* {
  const auto behind = std::upper_bound(by_start_.begin(), by_start_.end(), ip,
                                       [&](const Ip& wanted, std::size_t at) { return wanted < ranges_[at].start; });
  if (behind == by_start_.begin()) return nullptr;
  const auto& range = ranges_[*std::prev(behind)];
  return range.contains(ip) ? &range : nullptr;
}

auto RangeSet::to_string() const -> std::string {
  std::string out;
  for (const auto& range : ranges_) {
    if (!out.empty()) out += ',';
    out += range.to_string();
  }
  return out;
}

auto RangeSet::size() const -> std::uint64_t {
  std::uint64_t sum = 0;
  for (const auto& range : ranges_) {
    const auto more = count(range);
    if (more > UINT64_MAX - sum) return UINT64_MAX;
    sum += more;
  }
  return sum;
}

Walk::Walk(const RangeSet& set, const std::optional<Ip>& last) : set_(&set) {
  const auto& ranges = set.ranges();
  for (std::size_t i = 0; last && i < ranges.size(); ++i) {
    if (!ranges[i].contains(*last)) continue;
    range_ = i;
    current_ = last;
    return;
  }
}

// One address on, gateway or not; false when it is back where it began.
auto Walk::step() -> bool {
  const auto& ranges = set_->ranges();
  if (!current_) {
    current_ = ranges[range_].start;
  } else if (*current_ == ranges[range_].end) {
    range_ = (range_ + 1) % ranges.size();
    current_ = ranges[range_].start;
  } else {
    current_ = current_->next();
  }
  if (!began_) {
    began_ = current_;
    return true;
  }
  return *current_ != *began_;
}

auto Walk::next() -> std::optional<Place> {
  while (step()) {
    const auto& range = set_->ranges()[range_];
    if (*current_ != range.gateway) return Place{*current_, &range};
  }
  return std::nullopt;
}

}  // namespace weir::cni::host_local
