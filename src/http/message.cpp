#include "http/message.h"

#include <utility>

namespace weir::http {

auto Request::header(const std::string& name) const -> std::string_view {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : found->second;
}

void Response::set(std::string name, std::string value) { headers.emplace_back(std::move(name), std::move(value)); }

auto Response::body_size() const -> std::size_t {
  std::size_t size = body.size();
  for (const auto& piece : shared_body) size += piece->size();
  return size;
}

auto Response::text() const -> std::string {
  std::string text = body;
  for (const auto& piece : shared_body) text += *piece;
  return text;
}

auto status_text(int status) -> std::string_view {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 412: return "Precondition Failed";
    case 413: return "Payload Too Large";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Unknown";
  }
}

}  // namespace weir::http
