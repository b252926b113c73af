#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/spec/error.h"
#include "cni/spec/ip.h"
#include "cni/spec/json.h"

namespace weir::cni {

// The result of an ADD in the newest version's shape (SPEC.md 1.1.0, "Add Success").
struct Interface {
  std::string name;
  std::string mac;
  std::string sandbox;
  std::int64_t mtu = 0;  // 0: not said
  std::string socket_path;
  std::string pci_id;
};

struct IpConfig {
  std::optional<std::int64_t> interface;  // index into AddResult::interfaces
  Prefix address;
  std::optional<Ip> gateway;
};

struct Route {
  Prefix destination;  // as written: host bits are kept
  std::optional<Ip> gateway;
  std::int64_t mtu = 0;       // 0: not said
  std::int64_t advmss = 0;    // 0: not said
  std::int64_t priority = 0;  // 0: not said
  std::optional<std::int64_t> table;
  std::optional<std::int64_t> scope;

  // What the kernel makes of it, and lists: without host bits, metrics no larger than it takes, and for IPv6 without a
  // scope, which has none. Table 0 is none that is said: the main one.
  [[nodiscard]] auto as_kernel_has_it() const -> Route;
};

struct Dns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;
  [[nodiscard]] auto empty() const -> bool;
};

struct AddResult {
  std::vector<Interface> interfaces;
  std::vector<IpConfig> ips;
  std::vector<Route> routes;
  Dns dns;
};

// Routes as configurations and results write them: [{"dst": ..., "gw": ..., ...}].
[[nodiscard]] auto parse_routes(const Reader& reader, std::string_view key) -> Result<std::vector<Route>>;
[[nodiscard]] auto parse_dns(const Reader& reader) -> Result<Dns>;

// Reads a result that is written in `version`, as an IPAM plugin prints it or a runtime hands it back.
[[nodiscard]] auto parse_result(const Json& json, std::string_view version) -> Result<AddResult>;

// Prints a result for a runtime that speaks `version`. Up to 0.2.0 a result has one address per family, and
// one without any cannot be written: an error.
[[nodiscard]] auto print_result(const AddResult& result, std::string_view version) -> Result<std::string>;

// CHECK: an error if prevResult says that it is of a version that a configuration of `version` cannot come with.
[[nodiscard]] auto check_previous_version(const Json& config, std::string_view version) -> Result<void>;
// prevResult of `config`, or nullopt if there is none.
[[nodiscard]] auto previous_result(const Json& config, std::string_view version) -> Result<std::optional<AddResult>>;

}  // namespace weir::cni
