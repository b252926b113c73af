// `weir serve`: an engine whose proxies and faults are ruled from a file and over HTTP, by an API that is handed in.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/listen_address.h"
#include "base/result.h"
#include "control/diagnoses.h"
#include "control/event_log.h"
#include "control/leases.h"
#include "control/log_choice.h"
#include "control/registry.h"
#include "control/turns.h"
#include "http/handler.h"
#include "syslog/target_log.h"
#include "view/output.h"

namespace weir::control {

// What an API is made over. All of it outlives the API; the control thread only.
struct ApiParts {
  net::EventLoop& loop;  // the control thread's
  Registry& registry;
  EventLog& events;
  Leases& leases;
  Diagnoses& diagnoses;
  Turns& changes;  // of many proxies: one such change after the other
  Turns& lists;    // of many things, read and put together
  syslog::TargetLog& log;
  std::vector<Address> listens_on;
  bool compat_open = false;                                             // the file's
  std::function<std::size_t()> http_connections;                        // open now
  std::function<std::vector<view::OutputStatus>()> observer_outputs{};  // of the file's [[observers]], how each fares
};

// What answers over HTTP, on the control thread.
struct Api {
  http::Gate gate;  // judges each request first
  http::Handler handler;
  std::function<Result<void>()> before_listening{};  // the last that is done before anybody is told; or none
  std::string warning{};                             // for the log, once it listens; or empty
};

struct ServeOptions {
  std::optional<ListenAddress> api;   // none: the file's, or 127.0.0.1:8474
  std::string config;                 // a TOML file, or empty
  std::optional<std::uint64_t> seed;  // none: the file's, or one drawn now
  std::optional<unsigned> workers;    // none: the file's, or one per usable core
  std::optional<Nanos> poll;          // none: the file's, or off; see engine/polling.h
  // None: the file's (its timeout "drain"); a value without a value: no limit.
  std::optional<std::optional<Nanos>> drain;
  std::optional<int> exit_on_eof;                     // a descriptor whose end of file is taken as SIGTERM
  std::function<Result<Api>(ApiParts)> make_api;      // called once, before anything listens
  LogChoice log;                                      // what it leaves open the file says
  bool quiet = false;                                 // stderr takes errors only
  std::string listening_text = "serving the API on";  // the log says it, and where
  std::function<Result<void>(const std::string& where)> on_listening;  // the API's address, once it listens
};

// Serves until SIGINT, SIGTERM or the end of file that was asked for; sessions then have the drain time, and a second
// signal ends them. SIGHUP reads the file again. Blocks these signals for the calling thread and those it makes.
[[nodiscard]] auto serve(const ServeOptions& options) -> Result<void>;

}  // namespace weir::control
