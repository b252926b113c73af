// Proxies and faults as JSON text that is written in short steps: 256 faults take milliseconds. Each shows what there
// was when it was made, whatever becomes of it meanwhile. The control thread only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/api.h"
#include "control/registry.h"
#include "fault/fault_list.h"
#include "fault/proxy_faults.h"

namespace weir::api {

// The members of a proxy's list of faults, separated by commas.
class FaultsText {
 public:
  FaultsText(const ProxyEntry& entry, const engine::Engine& engine);
  // Adds some more. False: these were the last.
  [[nodiscard]] auto write_some(std::string& text) -> bool;

 private:
  std::shared_ptr<const fault::FaultList> faults_;
  std::map<std::string, control::Mark, std::less<>> marks_;
  std::vector<fault::ProxyFaults::Count> counts_;  // by name
  std::size_t at_ = 0;
};

// A proxy, as control::proxy_json shows it.
class ProxyText {
 public:
  ProxyText(const ProxyEntry& entry, const engine::Engine& engine);
  // Adds some more. False: it is complete.
  [[nodiscard]] auto write_some(std::string& text) -> bool;

 private:
  std::string head_;  // not written yet
  FaultsText faults_;
};

// The members of toxiproxy's list of toxics: upstream first, then downstream, each in the order of the chain.
class ToxicsText {
 public:
  explicit ToxicsText(const ProxyEntry& entry) : faults_(entry.faults), stream_texts_(entry.stream_texts) {}
  // Adds some more. False: these were the last.
  [[nodiscard]] auto write_some(std::string& text) -> bool;
  // The faults that toxiproxy does not know; once all is written.
  [[nodiscard]] auto hidden() const -> std::size_t { return faults_->entries().size() - written_; }

 private:
  std::shared_ptr<const fault::FaultList> faults_;
  std::map<std::string, std::string, std::less<>> stream_texts_;
  std::size_t at_ = 0;  // through the faults twice
  std::size_t written_ = 0;
};

// A proxy, as toxiproxy shows it.
class ToxiproxyText {
 public:
  explicit ToxiproxyText(const ProxyEntry& entry);
  // Adds some more. False: it is complete.
  [[nodiscard]] auto write_some(std::string& text) -> bool;
  [[nodiscard]] auto hidden() const -> std::size_t { return toxics_.hidden(); }

 private:
  std::string head_;  // not written yet
  ToxicsText toxics_;
};

}  // namespace weir::api
