#include "cni/spec/first_line.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "base/fd.h"

namespace weir::cni {

auto first_line(const std::string& path) -> std::string {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> buffer{};
  const auto n = file ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
  if (n <= 0) return {};
  const std::string_view text(buffer.data(), static_cast<std::size_t>(n));
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace weir::cni
