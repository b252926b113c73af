#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cni/spec/error.h"

namespace weir::cni {

// CNI_ARGS: "K=V;K2=V2". Unknown keys are an error unless IgnoreUnknown is set; MAC and IP are known to
// every plugin of ours, because bridge and its IPAM plugin see the same text (the reference's do not, so
// a MAC for the one fails in the other), and so are the keys that Kubernetes sends.
class Arguments {
 public:
  [[nodiscard]] static auto parse(std::string_view text) -> Result<Arguments>;
  // "" if absent. The last of two equal keys wins.
  [[nodiscard]] auto value(std::string_view key) const -> std::string_view;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

}  // namespace weir::cni
