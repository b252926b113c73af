#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "cni/spec/error.h"

namespace weir::cni {

// Opens the network namespace at `path`. The messages are those of the reference's ns package, which
// runtimes' logs are searched for: `failed to open netns "/x": failed to Statfs "/x": no such file or
// directory`; a file that is no namespace is refused by its file system's magic number.
[[nodiscard]] auto open_netns(const std::string& path) -> Result<Fd>;

// Whether `path` is the network namespace that this process is in. A path that cannot be looked at is not.
[[nodiscard]] auto is_own_netns(const std::string& path) -> bool;

// Whether both paths lead to one file, such as /run/netns/c1 and /var/run/netns/c1.
[[nodiscard]] auto is_same_netns(const std::string& one, const std::string& other) -> bool;

// Moves the calling thread into the namespace for the life of this object. The plugins have one thread.
class InsideNetns {
 public:
  [[nodiscard]] static auto enter(const Fd& netns) -> Result<InsideNetns>;
  InsideNetns(InsideNetns&&) noexcept = default;
  auto operator=(InsideNetns&&) -> InsideNetns& = delete;
  InsideNetns(const InsideNetns&) = delete;
  auto operator=(const InsideNetns&) -> InsideNetns& = delete;
  ~InsideNetns();  // ends the process if there is no way back: what follows would act in the wrong place

 private:
  explicit InsideNetns(Fd home) : home_(std::move(home)) {}
  Fd home_;
};

}  // namespace weir::cni
