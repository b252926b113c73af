#include "syslog/target.h"

#include <fmt/format.h>

namespace weir::syslog {
namespace {

auto wrong(std::string_view text, const std::string& why) { return failure(fmt::format("\"{}\": {}", text, why)); }

// "key=value&key=value" of a syslog target.
auto read_options(std::string_view options, Target& target) -> Result<void> {
  while (!options.empty()) {
    const auto option = options.substr(0, options.find('&'));
    options.remove_prefix(std::min(option.size() + 1, options.size()));
    const auto equals = option.find('=');
    const auto key = option.substr(0, equals);
    const auto value = equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1);
    if (key == "facility" && target.transport != Transport::local) {
      const auto facility = parse_facility(value);
      if (!facility) return tl::make_unexpected(facility.error());
      target.facility = *facility;
    } else if (key == "severity") {
      const auto severity = parse_severity(value);
      if (!severity) return tl::make_unexpected(severity.error());
      target.least = *severity;
    } else if (key == "format") {
      if (value != "rfc3164" && value != "rfc5424") return failure("format: write rfc5424 or rfc3164");
      target.form = value == "rfc3164" ? Form::rfc3164 : Form::rfc5424;
    } else if (key == "framing" && target.transport == Transport::tcp) {
      if (value != "octet" && value != "lf") return failure("framing: write octet (octet counting) or lf");
      target.framing = value == "lf" ? Framing::non_transparent : Framing::octet_counting;
    } else {
      return failure(fmt::format("there is no option \"{}\"; write {}severity, format{}, as in ?format=rfc3164", key,
                                 target.transport == Transport::local ? "" : "facility, ",
                                 target.transport == Transport::tcp ? ", framing" : ""));
    }
  }
  return {};
}

// "local3.warning@/path/to/socket"
auto read_local(std::string_view text, Target& target) -> Result<void> {
  const auto at = text.find('@');
  target.path = at == std::string_view::npos ? local_socket : text.substr(at + 1);
  if (target.path.empty() || target.path.front() != '/') return failure("write a socket's path after @, as @/dev/log");
  text = text.substr(0, at);
  const auto dot = text.find('.');
  const auto facility = parse_facility(text.substr(0, dot));
  if (!facility) return tl::make_unexpected(facility.error());
  target.facility = *facility;
  if (dot == std::string_view::npos) return {};
  const auto severity = parse_severity(text.substr(dot + 1));
  if (!severity) return tl::make_unexpected(severity.error());
  target.least = *severity;
  return {};
}

// "host", "host:port", "[::1]", "[::1]:port"; a slash may follow, as in other URLs.
auto read_address(std::string_view text, Target& target) -> Result<void> {
  if (text.ends_with('/')) text.remove_suffix(1);
  const auto last = text.rfind(':');
  const bool bracketed = text.ends_with(']');
  const bool has_port = last != std::string_view::npos && !bracketed;
  auto parsed = UpstreamAddress::parse(has_port ? std::string(text) : fmt::format("{}:{}", text, default_port));
  if (!parsed) return tl::make_unexpected(parsed.error());
  if (const auto* address = std::get_if<Address>(&parsed->target); address != nullptr && !address->is_ip()) {
    return failure("write host:port; a Unix socket is written as syslog:daemon@/path");
  }
  target.address = *std::move(parsed);
  return {};
}

}  // namespace

auto Target::parse(std::string_view text) -> Result<Target> {
  Target target;
  target.text = text;
  if (text == "stderr") return target;
  if (text == "stdout") {
    target.transport = Transport::standard_output;
    return target;
  }
  if (text.starts_with("file:")) {
    target.transport = Transport::file;
    target.path = text.substr(5);
    if (target.path.empty()) return wrong(text, "write the file's path, such as file:/var/log/weir.log");
    return target;
  }
  struct Scheme {
    std::string_view prefix;
    Transport transport;
  };
  for (const Scheme& scheme : {Scheme{"syslog:", Transport::local}, Scheme{"syslog+udp://", Transport::udp},
                               Scheme{"syslog+tcp://", Transport::tcp}}) {
    if (!text.starts_with(scheme.prefix)) continue;
    target.transport = scheme.transport;
    // What local daemons are used to, as it is what syslog(3) writes.
    if (scheme.transport == Transport::local) target.form = Form::rfc3164;
    const auto question = text.find('?');
    const auto place = text.substr(0, question).substr(scheme.prefix.size());
    auto read = scheme.transport == Transport::local ? read_local(place, target) : read_address(place, target);
    if (read && question != std::string_view::npos) read = read_options(text.substr(question + 1), target);
    if (!read) return wrong(text, read.error().message);
    return target;
  }
  return wrong(text,
               "this is no place for a log; write stderr, file:PATH, syslog:local3, syslog+udp://host:514 or "
               "syslog+tcp://host:514");
}

auto Target::takes(LogLevel level) const -> bool { return severity_of(level) <= least; }

auto severity_of(LogLevel level) -> Severity {
  switch (level) {
    case LogLevel::debug: return Severity::debug;
    case LogLevel::info: return Severity::info;
    case LogLevel::warning: return Severity::warning;
    case LogLevel::error: return Severity::err;
  }
  return Severity::err;
}

auto to_string(LineFormat format) -> std::string_view { return format == LineFormat::json ? "json" : "text"; }

auto parse_line_format(std::string_view text) -> Result<LineFormat> {
  if (text == "text") return LineFormat::text;
  if (text == "json") return LineFormat::json;
  return failure(fmt::format("write text or json, not \"{}\"", text));
}

}  // namespace weir::syslog
