#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo connection_per_exchange_cause{
    .name = "connection_per_exchange",
    .doc = "The client makes a connection for each exchange, and connecting takes a good part of the time",
    .signals =
        "Four sessions of a client in a row had a single request, and connecting, with TLS, was more than 30 % of the "
        "session's time",
    .look_alikes =
        "The first use of a pool: its connections serve more than one request. A slow connection "
        "(name_lookup, syn_lost): those own its time",
    .judge_session = [](const SessionView& view) -> std::optional<SessionClaim> {
      constexpr unsigned least_alike = 3;  // before this one
      if (!view.has_ended || view.requests != 1 || view.alike < least_alike) return std::nullopt;
      const Nanos connecting = view.free_in(Stretch::connecting) + view.free_in(Stretch::tls_handshake);
      if (10 * connecting <= 3 * view.whole()) return std::nullopt;
      return SessionClaim{.finding = {.side = Side::client,
                                      .certainty = Certainty::shown,
                                      .text = fmt::format("connects for each exchange: {} of {} went into that",
                                                          format_duration(connecting), format_duration(view.whole())),
                                      .fix = "keep connections and use them again: a pool, or keep-alive",
                                      .evidence = {{"connecting_ns", view.free_in(Stretch::connecting).count()},
                                                   {"tls_ns", view.free_in(Stretch::tls_handshake).count()},
                                                   {"whole_ns", view.whole().count()},
                                                   {"sessions_before", view.alike}}},
                          .stretch = Stretch::connecting};
    }};

}  // namespace weir::diagnose
