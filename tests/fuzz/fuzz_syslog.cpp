// Any bytes: frames come out whole and bounded, the same for every chunking; what was parsed and is
// written as RFC 5424 reads back without an anomaly.
#include <cstdlib>

#include "syslog/framing.h"
#include "syslog/message.h"

namespace {

using namespace weir::syslog;

auto take_all(std::string_view stream, std::size_t piece) -> std::string {
  FrameReader reader(256);
  std::string out;
  const auto note = [&](const Frame& frame) {
    if (frame.text.size() > 256) std::abort();
    out += frame.text + (frame.cut ? "~" : ".");
  };
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    reader.add(stream.substr(at, piece));
    while (const auto frame = reader.next()) note(*frame);
  }
  while (const auto frame = reader.rest()) note(*frame);
  return out;
}

}  // namespace

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (take_all(text, 1) != take_all(text, 7)) std::abort();
  Message message = parse(text);
  message.timestamp.clear();
  message.text.clear();
  message.anomalies.clear();
  const Message again = parse(encode_rfc5424(message, weir::WallTime{}));
  if (again.form != Form::rfc5424 || !again.anomalies.empty()) std::abort();
  if (message.form == Form::rfc5424 && again.data != message.data) std::abort();
  (void)Pri::parse(text);
  return 0;
}
