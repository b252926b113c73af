#include "cni/host_local/resolv_conf.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.h"

namespace weir::cni::host_local {
namespace {

constexpr std::size_t most_bytes = 1U << 20U;
constexpr std::string_view blanks = " \t\v\f\r";

auto fields_of(std::string_view line) -> std::vector<std::string> {
  std::vector<std::string> fields;
  while (true) {
    const auto first = line.find_first_not_of(blanks);
    if (first == std::string_view::npos) return fields;
    line.remove_prefix(first);
    const auto end = std::min(line.find_first_of(blanks), line.size());
    fields.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

}  // namespace

auto parse_resolv_conf(std::string_view text) -> Dns {
  Dns dns;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto fields = fields_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (fields.size() < 2 || fields[0][0] == '#' || fields[0][0] == ';') continue;
    if (fields[0] == "nameserver") dns.nameservers.push_back(fields[1]);
    if (fields[0] == "domain") dns.domain = fields[1];
    if (fields[0] == "search") dns.search.insert(dns.search.end(), fields.begin() + 1, fields.end());
    if (fields[0] == "options") dns.options.insert(dns.options.end(), fields.begin() + 1, fields.end());
  }
  return dns;
}

auto read_resolv_conf(const std::string& path) -> Result<Dns> {
  // The kernel would take what stands before a zero for the whole of it.
  if (path.find('\0') != std::string::npos) return fail(text({"open ", path, ": ", errno_words(EINVAL)}));
  // Its owner and links are the operator's business, who named it. A FIFO would be waited for without end.
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0) return fail(text({"open ", path, ": ", errno_words(errno)}));
  if (!S_ISREG(about.st_mode)) return fail(text({"open ", path, ": resolvConf has to name a regular file"}));
  std::string content;
  std::array<char, 4096> buffer{};
  while (true) {
    const auto n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0) return fail(text({"read ", path, ": ", errno_words(errno)}));
    if (n == 0) break;
    content.append(buffer.data(), static_cast<std::size_t>(n));
    if (content.size() > most_bytes) return fail(text({"read ", path, ": resolvConf is larger than 1 MiB"}));
  }
  return parse_resolv_conf(content);
}

}  // namespace weir::cni::host_local
