// Any bytes as the body of a request: toxiproxy's shapes and our own are read, or refused with a sentence.
#include <cstdlib>

#include "api/toxiproxy_json.h"
#include "control/proxy_json.h"

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  using namespace weir::api;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto body = parse_go_json(text);
  if (!body) {
    if (body.error().message.empty()) std::abort();
    return 0;
  }
  if (const auto proxy = read_proxy(*body)) (void)make_rules(*proxy);
  (void)read_proxies(*body);
  if (const auto toxic = read_toxic(*body)) {
    auto spec = weir::fault::make_classic(toxic->type.value_or("latency"), "x", weir::Direction::upstream,
                                          toxic->toxicity.value_or(1));
    if (spec && set_attributes(*spec, toxic->attributes) && !weir::fault::classic_attributes(*spec)) std::abort();
  }
  (void)weir::control::read_definition(*body, "", {});
  if (const auto fault = weir::control::read_fault(*body, ""); fault && fault->type == nullptr) std::abort();
  return 0;
}
