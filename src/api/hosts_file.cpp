#include "api/hosts_file.h"

#include <strings.h>

#include <fstream>
#include <sstream>

namespace weir::api {

auto find_in_hosts(std::string_view name, std::uint16_t port, const std::string& file) -> std::optional<Address> {
  constexpr std::size_t most = 1024 * 1024;
  const std::string wanted(name);
  std::ifstream hosts(file);
  std::optional<Address> v6;
  std::size_t read = 0;
  for (std::string line; read < most && std::getline(hosts, line); read += line.size() + 1) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address;
    words >> address;
    for (std::string each; words >> each;) {
      if (::strcasecmp(each.c_str(), wanted.c_str()) != 0) continue;
      auto parsed = Address::parse_ip(address, port);
      if (!parsed) break;
      if (parsed->family() == AF_INET) return *parsed;
      if (!v6) v6 = *parsed;
    }
  }
  return v6;
}

}  // namespace weir::api
