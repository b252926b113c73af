// Room base/, floor 1: the words every other room speaks - results and errors, descriptors,
// addresses, ids, clocks, durations, buffers, the log interface. It includes no other room.
// Start reading here, then address.h and block.h.
#pragma once

#include <fmt/format.h>

#include <string>
#include <system_error>
#include <tl/expected.hpp>
#include <utility>

namespace weir {

// What went wrong, as one sentence for the person who reads it: what was being done, to what,
// why it failed, and the way out where there is one. `code` is the errno behind it, or 0.
struct Error {
  std::string message;
  int code = 0;
};

// A value or an Error. Nothing on the data path throws; exceptions from libraries are turned into
// an Error at the edge where the library is called.
//
// Four families say that something did not go well, by what the one who hears it can do:
//   Result<T>            base/       a sentence is enough: it is shown or logged. The rule wherever none of these is
//   needed. Read<T>              control/    what somebody wrote is wrong: a FieldError names the field (and a file its
//   line). Outcome<T>           control/    a wish was understood and not granted: a Refusal has a kind, which api/
//   turns into
//                                    the status of its answer.
//   cni::Answer<T>       cni/kernel  the kernel said no: its errno, which callers tell apart.
// Questions to the workers' loops come back as engine::Answers<T>, where an answer may be missing; what a client of the
// API gets is an http::Response.
template <class T>
using Result = tl::expected<T, Error>;

using Failure = tl::unexpected<Error>;

[[nodiscard]] inline auto failure(std::string message, int code = 0) -> Failure {
  return Failure(Error{std::move(message), code});
}

// The text of an errno, in the system's words ("Connection refused").
[[nodiscard]] inline auto errno_text(int code) -> std::string { return std::generic_category().message(code); }

}  // namespace weir
