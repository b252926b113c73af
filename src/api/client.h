// The other end of our API, for the commands that rule a running weir.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace weir::api {

struct ClientResponse {
  int status = 0;
  std::string body;
};

// How a stream came to its end.
struct StreamEnd {
  bool is_whole = false;  // the server said that nothing more comes; else it was cut, or whoever read had enough
  std::string summary{};  // the server's last word on it, the trailer's field Weir-Summary, safe to print; or empty
};

// Blocking; one connection per request. Waits for the answer at most `patience`.
class Client {
 public:
  // "http://localhost:8474", "localhost:8474" or "unix:/run/weir.sock". The token may be empty.
  [[nodiscard]] static auto create(std::string_view url, std::string token, std::string user_agent) -> Result<Client>;
  [[nodiscard]] auto request(const std::string& method, const std::string& path, const std::string& body = "") const
      -> Result<ClientResponse>;
  // A body of any length, as it comes, until `take` returns false or the server ends it. `on_begin` is called once the
  // server has agreed.
  [[nodiscard]] auto stream(const std::string& path, const std::function<void()>& on_begin,
                            const std::function<bool(std::string_view)>& take) const -> Result<StreamEnd>;
  // A stream of lines, without their ends, until `take` returns false or the server ends it.
  [[nodiscard]] auto lines(const std::string& path, const std::function<bool(std::string_view)>& take) const
      -> Result<void>;
  [[nodiscard]] auto url() const -> const std::string& { return url_; }

  static constexpr std::chrono::seconds patience{30};
  static constexpr std::uint64_t most_answer_bytes = 256 * 1024 * 1024;
  static constexpr std::size_t most_line_bytes = 16 * 1024 * 1024;
  static constexpr std::size_t most_refusal_bytes = 64 * 1024;

 private:
  Client() = default;
  [[nodiscard]] auto refusal(const std::string& body) const -> Failure;
  [[nodiscard]] auto connect() const -> Result<Fd>;
  [[nodiscard]] auto send(int fd, const std::string& method, const std::string& path, const std::string& body) const
      -> Result<void>;

  std::string url_;
  std::string host_;  // the header
  std::string connect_host_;
  std::string port_;
  std::string unix_path_;
  std::string token_;
  std::string user_agent_;
};

}  // namespace weir::api
