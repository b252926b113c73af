// Everything that a CNI plugin reads, from any bytes: the environment's values (the first line of the input,
// parted by tabs) and stdin (the rest); and what the kernel and iptables answer. Nothing may crash, and what is
// accepted must be printable again. Nothing outside is touched: the plugins' own functions are not called.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cni/bridge/config.h"
#include "cni/bridge/iptables.h"
#include "cni/bridge/names.h"
#include "cni/host_local/config.h"
#include "cni/host_local/resolv_conf.h"
#include "cni/kernel/nft.h"
#include "cni/spec/plugin.h"

namespace {

using namespace weir::cni;

auto take(std::string_view& line) -> std::string {
  const auto word = line.substr(0, line.find('\t'));
  line.remove_prefix(std::min(word.size() + 1, line.size()));
  return std::string(word);
}

auto must(bool good) -> void {
  if (!good) std::abort();
}

}  // namespace

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  const std::string all(reinterpret_cast<const char*>(data), size);
  const auto end = std::min(all.find('\n'), all.size());
  std::string_view line = std::string_view(all).substr(0, end);
  Environment environment{.command = take(line),
                          .container_id = take(line),
                          .netns = take(line),
                          .ifname = take(line),
                          .args = take(line),
                          .path = "/x"};
  const auto command = check_environment(environment);
  const auto input = all.substr(std::min(end + 1, all.size()));
  (void)host_local::parse_resolv_conf(input);
  (void)bridge::removal_nat_input(bridge::parse_nat(input), [](const auto&, const auto&) { return true; });
  if (const auto rule = nft::parse_rule({data, size}); rule && rule->source) must(rule->source->length <= 128);
  if (const auto owner = bridge::parse_alias(input)) must(bridge::alias_of(*owner) == input);
  const auto request = parse_request(command.value_or(Command::add), environment, input);
  if (!request) return 0;
  (void)host_local::parse_config(*request);
  (void)bridge::parse_config(*request);
  (void)valid_attachments(*request);
  const auto previous = previous_result(request->config, request->version);
  if (!previous || !*previous) return 0;
  if (const auto text = print_result(**previous, request->version)) {
    const auto json = parse_json(*text);
    must(json.has_value());
    const auto again = parse_result(*json, request->version);
    must(again.has_value() && print_result(*again, request->version) == *text);
  }
  return 0;
}
