// Room control/, floor 9: the proxies and faults of a running process as users wish them - the registry, the
// configuration file and its application, observers by name, leases, and `serve`, which runs all of it. How they are
// asked for over HTTP is api/'s. Includes every room below. Start with this file, then serve.h.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/home_thread.h"
#include "base/listen_address.h"
#include "control/observers.h"
#include "control/port_keeper.h"
#include "control/refusal.h"
#include "engine/engine.h"
#include "fault/fault_list.h"

namespace weir::control {

class Diagnoses;  // diagnoses.h

// 16 random hexadecimal digits.
[[nodiscard]] auto make_id() -> std::string;

// What the engine says of a bound socket, as clients know it from toxiproxy: ":80" as "[::]:80".
[[nodiscard]] auto shown_listen(std::string_view text) -> std::string;

// Who made an object, and so who may make it go away: reloading the file leaves what the API made.
enum class Owner : std::uint8_t { api, config };
[[nodiscard]] auto to_string(Owner owner) -> std::string_view;

// What tells an object from all others, and what becomes of it.
struct Mark {
  std::string id = make_id();  // never given to another object; who makes an object may choose it
  std::string lease = {};      // the object goes when this lease does; empty: it stays
  Owner owner = Owner::api;
};

// Somebody wants a proxy closed for as long as this stands.
struct Hold {
  std::string id;
  std::string lease;
};

// A proxy as it is.
struct ProxyEntry {
  std::string name;
  proxy::ProxyRules rules;  // as a user wants it; once it has listened, with the port that it has
  ProxyId id{};
  Mark mark;
  std::vector<Hold> holds;
  PortKeeper kept_port;        // while it is held
  bool listening = false;      // its rules have it enabled and nobody holds it
  std::string listen;          // shown: as written until it first listened, then the address with its real port
  std::uint64_t made_by = 0;   // the engine's last change when it was made
  std::uint64_t revision = 0;  // grows with every change of it or its faults; unique in this process
  std::shared_ptr<const fault::FaultList> faults = std::make_shared<fault::FaultList>();
  std::map<std::string, Mark, std::less<>> fault_marks;          // by name, of every fault
  std::map<std::string, std::string, std::less<>> stream_texts;  // toxiproxy echoes a stream as it was written
};

// What was changed, for those who show it.
struct Change {
  std::string what;  // "proxy.created", "proxy.changed", "proxy.removed", "fault.added", ...
  std::string proxy;
  std::string fault;  // or empty
  std::uint64_t revision = 0;
  std::string why = {};  // it was no user's wish: what went wrong
};

// What went with a lease.
struct LeaseEnd {
  std::size_t proxies = 0;
  std::size_t faults = 0;
  std::size_t holds = 0;
  std::vector<Refusal> failed;  // proxies that were held and cannot listen any more
};

// Every proxy of the process. The control thread only. Each call waits for nobody: what it changes is so on this thread
// when it returns, and on its way to the workers' loops. Who tells a client of it does so when the engine is settled
// (engine::Engine::settle), so that what a client was told is true for its next byte.
class Registry {
 public:
  Registry(engine::Engine& engine, std::function<void(const Change&)> on_change)
      : engine_(engine), on_change_(std::move(on_change)) {}
  Registry(const Registry&) = delete;
  auto operator=(const Registry&) -> Registry& = delete;

  [[nodiscard]] auto engine() -> engine::Engine& { return engine_; }
  // By name, in order.
  [[nodiscard]] auto all() const -> const std::map<std::string, ProxyEntry, std::less<>>& {
    thread_.check("control::Registry");
    return proxies_;
  }
  [[nodiscard]] auto find(std::string_view name) const -> const ProxyEntry*;
  [[nodiscard]] auto find(ProxyId id) const -> const ProxyEntry*;

  static constexpr std::size_t most_proxies = 4096;
  // Refused if the name is taken, there are most_proxies, or it cannot listen; then nothing is made.
  // Its faults get the mark's lease and owner too.
  [[nodiscard]] auto create(std::string name, proxy::ProxyRules rules,
                            std::shared_ptr<const fault::FaultList> faults = nullptr, Mark mark = {})
      -> Outcome<const ProxyEntry*>;
  // The name must be there. Only another `listen` and `enabled` off end its sessions; what else is changed takes
  // effect when the catalog of settings says. 409 if it cannot listen where it should; then nothing is changed.
  [[nodiscard]] auto change(std::string_view name, proxy::ProxyRules rules) -> Outcome<const ProxyEntry*>;
  // The same as toxiproxy does it: another upstream ends its sessions too, and if it cannot listen, it stays
  // closed with what was wished.
  [[nodiscard]] auto change_as_toxiproxy(std::string_view name, proxy::ProxyRules rules) -> Outcome<const ProxyEntry*>;
  void remove(std::string_view name);
  // Stops listening for another that is to listen there; the next change listens again.
  void make_way(std::string_view name);

  // Puts a list in force for a proxy that is there.
  void set_faults(std::string_view name, fault::FaultList list, const Change& change);
  void note_stream_text(std::string_view name, const std::string& fault, const std::string& text);
  void mark_fault(std::string_view name, const std::string& fault, Mark mark);

  // Closes a proxy that is there until release(), whatever else is wished meanwhile. Refused if it has a hold of this
  // id.
  [[nodiscard]] auto hold(std::string_view name, Hold hold) -> Outcome<void>;
  // not_found: there is no such hold. cannot_listen: it was the last one, and the hold is gone.
  [[nodiscard]] auto release(std::string_view name, std::string_view hold) -> Outcome<void>;
  // Takes the faults and holds that carry the lease from a proxy that is there; see bulk_changes.h.
  void take_back(std::string_view name, std::string_view lease, LeaseEnd& end);
  // Starts a proxy that is there if it is disabled, and removes all its faults; see bulk_changes.h. Refused if it
  // cannot listen; its faults are gone.
  [[nodiscard]] auto reset(std::string_view name) -> Outcome<void>;

  // Takes note of what the engine could not open on the workers' loops after a call had returned: the proxy stays and
  // does not listen.
  void look_at_openings();
  void note_failed(const engine::FailedOpening& failed);
  // Of those that were noted lately: why one failed that was opened by the engine's changes (after, until], for whoever
  // is refused what these changes were to bring. If they made the proxy, it is removed: then nothing was made.
  [[nodiscard]] auto take_back_failed(std::uint64_t after, std::uint64_t until) -> std::optional<Refusal>;

  // Is told the name of each proxy before its first session.
  void set_names(ProxyNames& names) { names_ = &names; }
  // What proxies are called, also those that are gone; it outlives the engine. Null before set_names().
  [[nodiscard]] auto names() const -> const ProxyNames* { return names_; }
  // Follows what the rules say of diagnosing; it outlives this. Without it they say nothing.
  void set_diagnoses(Diagnoses& diagnoses) { diagnoses_ = &diagnoses; }
  // What no proxy may dial: our own API.
  void forbid(const Address& api) { forbidden_ = api; }
  [[nodiscard]] auto revision() const -> std::uint64_t { return revision_; }

 private:
  [[nodiscard]] auto make_ready(const proxy::ProxyRules& rules) -> Outcome<void>;
  // Its rules are in force.
  void put_rules(const ProxyEntry& entry);
  [[nodiscard]] auto make_spec(const ProxyEntry& entry) const -> engine::ProxySpec;
  [[nodiscard]] auto open(ProxyEntry& entry) -> Outcome<void>;
  [[nodiscard]] auto note_listening(ProxyEntry& entry, const Result<ListenAddress>& where) -> Outcome<void>;
  void close(ProxyEntry& entry, const std::string& why);
  [[nodiscard]] auto bind(ProxyEntry& entry, const proxy::ProxyRules& rules) -> Result<engine::Listeners>;
  [[nodiscard]] auto open_if_free(ProxyEntry& entry) -> Outcome<void>;
  void drop_faults_of(std::string_view lease, ProxyEntry& entry, LeaseEnd& end);
  void drop_holds_of(std::string_view lease, ProxyEntry& entry, LeaseEnd& end);
  void tell(std::string what, ProxyEntry& entry, std::string fault = "", std::string why = "");

  HomeThread thread_;
  engine::Engine& engine_;
  std::function<void(const Change&)> on_change_;
  std::map<std::string, ProxyEntry, std::less<>> proxies_;
  std::map<ProxyId, const ProxyEntry*> by_id_;  // the same: every event of a session asks for its proxy
  std::optional<Address> forbidden_;
  ProxyNames* names_ = nullptr;
  Diagnoses* diagnoses_ = nullptr;
  std::uint64_t revision_ = 0;
  struct FailedLately {
    std::uint64_t change;  // that opened it
    ProxyId proxy;
    Refusal why;
  };
  std::deque<FailedLately> failed_openings_;  // the last ones
};

// How long an answer waits for a worker's loop at most.
inline constexpr std::chrono::milliseconds loop_patience{1000};

}  // namespace weir::control
