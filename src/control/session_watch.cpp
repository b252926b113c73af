#include "control/session_watch.h"

namespace weir::control {
namespace {

auto seconds(Nanos duration) -> double { return std::chrono::duration<double>(duration).count(); }

auto closed_json(const event::SessionClosed& closed) -> Json {
  const auto& up = closed.totals[index(Direction::upstream)];
  const auto& down = closed.totals[index(Direction::downstream)];
  Json data{{"client", closed.client.to_string()},
            {"upstream", closed.upstream ? Json(closed.upstream->to_string()) : Json()},
            {"cause", event::to_string(closed.cause)},
            {"detail", closed.detail},
            {"age_seconds", seconds(closed.age)},
            {"bytes_upstream", up.bytes},
            {"bytes_downstream", down.bytes}};
  return data;
}

}  // namespace

void SessionWatch::add_began(const event::FaultBegan& began, const event::Event& event, Nanos wall_offset) {
  const auto [place, is_new] = began_.try_emplace({event.proxy, began.fault}, batch_.size());
  if (is_new) {
    batch_.push_back({.proxy = event.proxy,
                      .type = "fault.applied",
                      .data = {{"time", seconds(event.time.time_since_epoch() + wall_offset)},
                               {"fault", began.fault},
                               {"type", began.type},
                               {"count", 0},
                               {"sessions", Json::array()}}});
  }
  Json& data = batch_[place->second].data;
  data["count"] = data["count"].get<std::uint64_t>() + 1;
  if (data["sessions"].size() < most_sessions_named) {
    data["sessions"].push_back(static_cast<std::uint64_t>(event.session));
  }
}

void SessionWatch::on_event(const event::Event& event, Nanos wall_offset) {
  if (const auto* began = std::get_if<std::shared_ptr<const event::FaultBegan>>(&event.what)) {
    return add_began(**began, event, wall_offset);
  }
  Item item{.proxy = event.proxy, .type = {}, .data = Json::object(), .upstream_unreached = false};
  item.data["time"] = seconds(event.time.time_since_epoch() + wall_offset);
  item.data["session"] = static_cast<std::uint64_t>(event.session);
  if (const auto* opened = std::get_if<std::shared_ptr<const event::SessionOpened>>(&event.what)) {
    item.type = "session.opened";
    item.data["client"] = (*opened)->client.to_string();
    item.data["upstream"] = (*opened)->upstream.to_string();
    item.data["connect_seconds"] = seconds((*opened)->connect_time);
  } else if (const auto* closed = std::get_if<std::shared_ptr<const event::SessionClosed>>(&event.what)) {
    item.type = "session.closed";
    item.data.update(closed_json(**closed));
    item.upstream_unreached = event::is_unreached((*closed)->cause);
  } else if (const auto* gap = std::get_if<event::Gap>(&event.what)) {
    item.type = "sessions.missed";
    item.data["events"] = gap->events;
  } else {
    return;
  }
  batch_.push_back(std::move(item));
}

// One report is under way at most, however many batches it is about.
void SessionWatch::miss_batch() {
  backlog_->missed += batch_.size();
  if (backlog_->report_is_due.exchange(true)) return;
  control_.post([deliver = deliver_, backlog = backlog_] {
    backlog->report_is_due = false;
    std::vector<Item> report;
    report.push_back({.proxy = {}, .type = "sessions.missed", .data = {{"events", backlog->missed.exchange(0)}}});
    deliver(std::move(report));
  });
}

auto SessionWatch::flush() -> bool {
  if (batch_.empty()) return true;
  if (backlog_->waiting.load() >= most_waiting) {
    miss_batch();
  } else {
    backlog_->waiting += batch_.size();
    control_.post([deliver = deliver_, backlog = backlog_, size = batch_.size(),
                   batch = std::make_shared<std::vector<Item>>(std::move(batch_))] {
      deliver(std::move(*batch));
      backlog->waiting -= size;
    });
  }
  batch_.clear();
  began_.clear();
  return true;
}

}  // namespace weir::control
