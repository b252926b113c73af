#include "cni/kernel/refusal.h"

#include "cni/spec/error.h"

namespace weir::cni {

auto Refusal::words() const -> std::string {
  return said.empty() ? errno_words(code) : cni::text({errno_words(code), " (", said, ")"});
}

}  // namespace weir::cni
