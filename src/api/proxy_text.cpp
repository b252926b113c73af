#include "api/proxy_text.h"

#include <algorithm>

#include "api/answers.h"
#include "api/toxiproxy_json.h"
#include "control/proxy_json.h"

namespace weir::api {
namespace {

// In one step: 0.1 ms.
constexpr std::size_t faults_in_a_step = 16;

// An object's text, open at its end for the members of one more list.
auto open_list(const Json& object, std::string_view key) -> std::string {
  std::string text = json_text(object);
  text.pop_back();
  text += fmt::format(",\"{}\":[", key);
  return text;
}

}  // namespace

FaultsText::FaultsText(const ProxyEntry& entry, const engine::Engine& engine)
    : faults_(entry.faults), marks_(entry.fault_marks), counts_(engine.faults(entry.id).counts()) {}

auto FaultsText::write_some(std::string& text) -> bool {
  const auto& all = faults_->entries();
  for (std::size_t i = 0; i < faults_in_a_step && at_ < all.size(); ++i, ++at_) {
    const fault::FaultSpec& spec = *all[at_];
    const auto count = std::ranges::lower_bound(counts_, spec.name, {}, &fault::ProxyFaults::Count::fault);
    const bool was_counted = count != counts_.end() && count->fault == spec.name;
    if (at_ > 0) text += ',';
    text += json_text(control::fault_json(spec, marks_.at(spec.name), was_counted ? count->sessions : 0));
  }
  return at_ < all.size();
}

ProxyText::ProxyText(const ProxyEntry& entry, const engine::Engine& engine)
    : head_(open_list(control::proxy_without_faults(entry), "faults")), faults_(entry, engine) {}

auto ProxyText::write_some(std::string& text) -> bool {
  text += std::exchange(head_, {});
  if (faults_.write_some(text)) return true;
  text += "]}";
  return false;
}

auto ToxicsText::write_some(std::string& text) -> bool {
  const auto& all = faults_->entries();
  for (std::size_t i = 0; i < faults_in_a_step && at_ < 2 * all.size(); ++i, ++at_) {
    const fault::FaultSpec& spec = *all[at_ % all.size()];
    const auto direction = at_ < all.size() ? fault::FaultDirection::upstream : fault::FaultDirection::downstream;
    if (spec.direction != direction) continue;
    const auto attributes = fault::classic_attributes(spec);
    if (!attributes) continue;
    const auto stream = stream_texts_.find(spec.name);
    if (written_++ > 0) text += ',';
    text +=
        json_text(toxiproxy_toxic(spec, *attributes, stream == stream_texts_.end() ? std::string() : stream->second));
  }
  return at_ < 2 * all.size();
}

ToxiproxyText::ToxiproxyText(const ProxyEntry& entry)
    : head_(open_list(toxiproxy_without_toxics(entry), "toxics")), toxics_(entry) {}

auto ToxiproxyText::write_some(std::string& text) -> bool {
  text += std::exchange(head_, {});
  if (toxics_.write_some(text)) return true;
  text += "]}";
  return false;
}

}  // namespace weir::api
