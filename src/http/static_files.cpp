#include "http/static_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "http/percent.h"

namespace weir::http {
namespace {

auto content_type(std::string_view name) -> std::string_view {
  struct Known {
    std::string_view ending;
    std::string_view type;
  };
  static constexpr std::array known{
      Known{".html", "text/html; charset=utf-8"},
      Known{".css", "text/css; charset=utf-8"},
      Known{".js", "text/javascript; charset=utf-8"},
      Known{".json", "application/json"},
      Known{".map", "application/json"},
      Known{".svg", "image/svg+xml"},
      Known{".png", "image/png"},
      Known{".ico", "image/x-icon"},
      Known{".woff2", "font/woff2"},
      Known{".txt", "text/plain; charset=utf-8"},
  };
  for (const Known& each : known) {
    if (name.ends_with(each.ending)) return each.type;
  }
  return "application/octet-stream";
}

auto plain(int status, std::string_view sentence) -> Response {
  Response response{.status = status};
  response.set("Content-Type", "text/plain; charset=utf-8");
  response.body = std::string(sentence) + "\n";
  return response;
}

auto open_below(int folder, const std::string& name, int flags) -> Fd {
  return Fd(::openat(folder, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));  // mutant: http-file-outside-the-folder
}

// A regular file; nothing for everything else. `name` becomes that of the file itself.
struct Found {
  std::string name;
  Fd file{};
  struct stat about {};
};

auto look(int folder, std::string_view path) -> std::optional<Found> {
  Fd at;
  while (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const auto slash = path.find('/');
    Found found{.name = percent_decode(path.substr(0, slash))};
    if (found.name.empty() && slash == std::string_view::npos) found.name = "index.html";
    // A decoded slash or zero byte is part of no name; ".", ".." and hidden files are nobody's business.
    const bool bad = found.name.empty() || found.name.front() == '.' ||
                     found.name.find_first_of(std::string_view("/\0", 2)) != std::string::npos;
    if (bad) return std::nullopt;
    const int here = at ? at.get() : folder;
    if (slash == std::string_view::npos) {
      found.file = open_below(here, found.name, O_RDONLY | O_NONBLOCK);  // not waiting for who writes to a FIFO
      const bool is_file = found.file && ::fstat(found.file.get(), &found.about) == 0 && S_ISREG(found.about.st_mode);
      return is_file ? std::optional(std::move(found)) : std::nullopt;
    }
    at = open_below(here, found.name, O_PATH | O_DIRECTORY);
    if (!at) return std::nullopt;
    path.remove_prefix(slash + 1);
  }
}

// Weak comparison (RFC 9110, 13.1.2): "a", W/"b", *
auto names_tag(std::string_view list, std::string_view tag) -> bool {
  return list == "*" || list.find(tag) != std::string_view::npos;
}

auto read_whole(int file, std::size_t size) -> std::optional<std::string> {
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(file, text.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;  // it became shorter meanwhile
    done += static_cast<std::size_t>(n);
  }
  return text;
}

}  // namespace

auto StaticFiles::open(const std::string& folder) -> Result<StaticFiles> {
  Fd fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failure(fmt::format("cannot serve files from {}: {}", folder, errno_text(errno)), errno);
  return StaticFiles(std::move(fd));
}

auto StaticFiles::answer(const Request& request, std::string_view path) const -> Response {
  if (request.method != "GET" && request.method != "HEAD") {
    auto refused = plain(405, "files are only read: GET or HEAD");
    refused.set("Allow", "GET, HEAD");
    return refused;
  }
  auto found = look(folder_.get(), path);
  if (!found) return plain(404, "there is no such file");
  const auto size = static_cast<std::size_t>(found->about.st_size);
  if (size > most_bytes) return plain(500, "the file is longer than 16 MiB");
  const auto tag = fmt::format("\"{:x}-{:x}-{:x}.{:x}\"", found->about.st_ino, size, found->about.st_mtim.tv_sec,
                               found->about.st_mtim.tv_nsec);
  Response response;
  response.set("ETag", tag);
  response.set("Cache-Control", "no-cache");  // keep it, and ask each time whether it is still the one
  if (names_tag(request.header("if-none-match"), tag)) {
    response.status = 304;
    return response;
  }
  auto text = read_whole(found->file.get(), size);
  if (!text) return plain(500, "the file could not be read");
  response.set("Content-Type", std::string(content_type(found->name)));
  response.set("X-Content-Type-Options", "nosniff");
  response.body = *std::move(text);
  return response;
}

}  // namespace weir::http
