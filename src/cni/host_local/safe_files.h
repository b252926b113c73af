#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/fd.h"
#include "cni/spec/error.h"

namespace weir::cni::host_local {

// Files and folders that we, who are root, read and write, in places where somebody else may have put something else:
// a symbolic link to /etc/shadow, a FIFO whose other end never comes, a folder in which others rename what is ours.
// Nothing is followed, waited for or written to before it is known to be root's or our own.

// Why something was not opened: `code` is an errno, ELOOP for a link, EPERM for what is somebody else's and EINVAL for
// what is no regular file. `words` say it to people, behind the file's name and a colon.
struct Unsafe {
  int code = 0;
  std::string words;
};
template <class T>
using Safe = tl::expected<T, Unsafe>;

// A regular file in `folder`, which is root's or the process's own. `flags` as open(2)'s; O_TRUNC is not for them.
[[nodiscard]] auto open_file(int folder, const std::string& name, int flags, mode_t mode = 0) -> Safe<Fd>;

// A folder (O_PATH) that is root's or the process's own, and that nobody else may write to. `path` may lead through
// symbolic links of root's and our own, but of nobody else's. With `make` it is made, and what leads there. `sticky`:
// others may write to it where they cannot rename or delete what is not theirs, as in /tmp.
// A failure names the folder that was in the way: "mkdir /a/b: not a directory", "open /a: permission denied".
struct NoFolder {
  int code = 0;  // as Unsafe's; ENOENT if it is not there
  Error error;
};
struct FolderWish {
  bool make = false;
  bool sticky = false;
};
[[nodiscard]] auto open_folder(const std::string& path, FolderWish wish) -> tl::expected<Fd, NoFolder>;
// The same of a folder in `parent`; `shown` is parent's path, for messages.
[[nodiscard]] auto open_folder_in(int parent, const std::string& shown, const std::string& name, FolderWish wish)
    -> tl::expected<Fd, NoFolder>;

}  // namespace weir::cni::host_local
