#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "http/message.h"

namespace weir::http {

// The files of one folder, for GET and HEAD, with ETag and If-None-Match. A path never leaves the folder: ".." and
// symbolic links are not followed, and hidden files (".git") are not there. A folder is its index.html or nothing; it
// is never listed. Reads are blocking and bounded: it is for small files on a local disk. Loop thread only.
class StaticFiles {
 public:
  // Opens the folder, which may be renamed from then on.
  [[nodiscard]] static auto open(const std::string& folder) -> Result<StaticFiles>;

  // `path` is below the folder, still percent-encoded, with or without a slash at its begin: "/app.js", "".
  [[nodiscard]] auto answer(const Request& request, std::string_view path) const -> Response;

  static constexpr std::size_t most_bytes = 16UL << 20U;  // of a file; a longer one is status 500

 private:
  explicit StaticFiles(Fd folder) : folder_(std::move(folder)) {}
  Fd folder_;
};

}  // namespace weir::http
