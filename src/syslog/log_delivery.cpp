#include "syslog/log_delivery.h"

#include <algorithm>
#include <cerrno>

namespace weir::syslog {

void LogDelivery::failed(const Error& error) {
  output_.close();
  up_ = false;
  retry_at_ = clock_.mono() + wait_;
  wait_ = std::min(wait_ * 2, longest_wait);  // mutant: syslog-wait-not-doubled
  const bool new_outage = trouble_.empty();
  trouble_ = error.message;
  if (new_outage && error.code != ECANCELED) on_outage_(error.message);
}

auto LogDelivery::turn() -> std::optional<MonoTime> {
  while (true) {
    if (!up_) {
      if (clock_.mono() < retry_at_) return retry_at_;
      if (auto opened = output_.open(); !opened) {
        failed(opened.error());
        return retry_at_;
      }
      up_ = true;
    }
    if (!current_) current_ = queue_.take();
    if (!current_) return std::nullopt;
    if (auto sent = output_.send(write_(*current_)); !sent) {
      if (sent.error().code == EMSGSIZE) {  // mutant: syslog-too-long-never-dropped
        // But for the word of a drop: it would be followed by another one for ever.
        if (!current_->tells_of_drops) queue_.count_lost(1);
        current_.reset();
        continue;
      }
      // What a datagram socket says about the one before: nobody took it.
      if (sent.error().code == ECONNREFUSED && sent_ > 0) queue_.count_lost(1);
      failed(sent.error());
      return retry_at_;
    }
    current_.reset();
    ++sent_;
    wait_ = shortest_wait;
    trouble_.clear();
  }
}

void LogDelivery::last_turn() {
  retry_at_ = clock_.mono();
  (void)turn();
}

void LogDelivery::reopen() {
  output_.close();
  up_ = false;
  retry_at_ = clock_.mono();
}

}  // namespace weir::syslog
