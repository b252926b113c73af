// A live view of what passes through running proxies, as `weir tap` prints it.
#include <map>

#include "api/answers.h"
#include "api/native_routes.h"
#include "api/requests.h"
#include "base/duration.h"
#include "control/live_view.h"

namespace weir::api {
namespace {

// The trailer's field with the closing line.
constexpr const char* summary_field = "Weir-Summary";

// The bytes of the view, as they are printed, until the view is over or the reader leaves.
class ViewStream final : public http::BodyStream {
 public:
  explicit ViewStream(std::unique_ptr<control::LiveView> view) : view_(std::move(view)) {}
  auto begin(std::function<void()> wake) -> std::string override {
    view_->set_on_more(std::move(wake));
    return {};
  }
  [[nodiscard]] auto can_end() const -> bool override { return true; }
  auto more(std::size_t room) -> std::string override { return view_->read(room); }
  auto ended() -> std::optional<http::Fields> override {
    const auto summary = view_->ended();
    if (!summary) return std::nullopt;
    if (summary->empty()) return http::Fields{};
    return http::Fields{{summary_field, *summary}};
  }

 private:
  std::unique_ptr<control::LiveView> view_;
};

auto yes_or_no(std::string_view text) -> Result<bool> {
  if (text == "true") return true;
  if (text == "false") return false;
  return failure("write true or false");
}

auto session_number(std::string_view text) -> Result<std::optional<SessionNumber>> {
  const auto number = parse_number(text);
  if (!number || *number == 0) return failure("write the number of a session");
  return SessionNumber{*number};
}

auto chunk_count(std::string_view text) -> Result<std::optional<std::uint64_t>> {
  const auto count = parse_number(text);
  if (!count || *count == 0) return failure("write a number of chunks, 1 or more");
  return count;
}

// Any bytes: those of the query are percent-encoded.
auto pattern(std::string_view text) -> Result<std::string> { return std::string(text); }

auto time_to_end(std::string_view text) -> Result<std::optional<Nanos>> {
  const auto time = parse_duration(text);
  if (!time) return tl::make_unexpected(time.error());
  return *time;
}

// Reads the query's keys, each as its parser says; the first that is wrong or unknown is the refusal.
class ViewQuery {
 public:
  explicit ViewQuery(const std::map<std::string, std::string>& query) : left_(query) {}

  template <class Parse, class Where>
  void take(const std::string& key, Parse parse, Where& where) {
    const auto found = left_.find(key);
    if (found == left_.end()) return;
    if (auto value = parse(found->second)) {
      where = *std::move(value);
    } else if (!refusal_) {
      refusal_ = api_refusal(400, key + ": " + value.error().message, key);
    }
    left_.erase(found);
  }
  [[nodiscard]] auto refusal() -> std::optional<http::Response> {
    if (!refusal_ && !left_.empty()) {
      const std::string key = left_.begin()->first.substr(0, 64);
      refusal_ = api_refusal(400,
                             key +
                                 ": there is no such choice; there are show, only, limit, filter_client, session, "
                                 "grep, count, for, when_slow, color and utf8",
                             key);
    }
    return std::move(refusal_);
  }

 private:
  std::map<std::string, std::string> left_;
  std::optional<http::Response> refusal_;
};

auto media_type(view::ViewKind kind) -> std::string {
  switch (kind) {
    case view::ViewKind::json: return "application/x-ndjson";
    case view::ViewKind::raw: return "application/octet-stream";
    default: return "text/plain; charset=utf-8";
  }
}

}  // namespace

auto NativeRoutes::get_watch(const http::Request& request, const Parts& parts) -> http::Response {
  control::LiveViewOptions options;
  if (parts.empty()) {
    options.view.name_of = [names = registry_.names()](ProxyId id) { return names->name(id); };
  } else {
    if (registry_.find(parts[0]) == nullptr) return no_proxy(parts[0]);
    options.wants = [name = parts[0]](std::string_view proxy) { return proxy == name; };
  }
  ViewQuery query(request.query);
  query.take("show", view::parse_view_kind, options.view.kind);
  query.take("only", view::parse_direction, options.view.only);
  query.take("limit", parse_size, options.view.limit);
  query.take("filter_client", ClientFilter::parse, options.view.filter.client);
  query.take("session", session_number, options.view.filter.session);
  query.take("grep", pattern, options.view.grep);
  query.take("count", chunk_count, options.view.chunks);
  query.take("for", time_to_end, options.end_after);
  query.take("when_slow", view::parse_full_policy, options.when_slow);
  query.take("color", yes_or_no, options.view.color);
  query.take("utf8", yes_or_no, options.view.utf8);
  if (auto refusal = query.refusal()) return *std::move(refusal);
  if (options.view.chunks && view::required_events(options.view) == 0) {
    return api_refusal(400, "count: show=none shows no chunk that could be counted", "count");
  }
  options.reader = request.peer;
  http::Response answer;
  answer.set("Content-Type", media_type(options.view.kind));
  answer.set("Cache-Control", "no-store");
  answer.set("Trailer", summary_field);
  auto view = control::LiveView::open(registry_.engine(), loop_, std::move(options));
  if (!view) return api_refusal(503, view.error().message);
  answer.stream = std::make_unique<ViewStream>(*std::move(view));
  return answer;
}

}  // namespace weir::api
