// The catalog describes every fault once. Help, validation, the API's schema and docs/faults.md are
// made from it; adding a fault is one file and one line (docs/adding-a-fault.md).
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "fault/seat.h"
#include "fault/spec.h"
#include "fault/stage.h"

namespace weir::fault {

enum class AttributeKind : std::uint8_t {
  duration,  // int64 nanoseconds; written 100ms, 1.5s, 0
  size,      // int64 bytes; written 4096, 64KiB, 10MB
  rate,      // int64 bytes per second; written 100KB/s, 0
  count,     // int64
  fraction,  // double from 0 to 1
  word,      // std::string, one of `words`
  hex,       // std::string of raw bytes; written as hex digits; may be empty
};

struct AttributeInfo {
  std::string_view name;
  AttributeKind kind;
  Value default_value;
  std::string_view doc;  // one line
  // Of the integer kinds, in base units.
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string_view> words = {};
  // toxiproxy's attribute of this name is an integer in units of so many base units (1'000'000: it is
  // in milliseconds); 0: toxiproxy has none.
  std::int64_t classic_unit = 0;
  bool optional = false;  // its default means "not given", and is not shown
};

// Where in a session a fault acts.
enum class FaultPhase : std::uint8_t {
  accept,   // as soon as the connection is accepted; no direction
  connect,  // before the upstream is connected to; no direction
  stream,   // a stage in the path of a direction's bytes
};

struct FaultInfo {
  std::string_view type;
  std::string_view doc;      // one line
  std::string_view details;  // paragraphs for docs/faults.md
  std::string_view differs;  // from toxiproxy's, for docs/faults.md; empty if it does not
  std::vector<AttributeInfo> attributes = {};
  bool classic = false;  // one of toxiproxy's eight
  FaultPhase phase = FaultPhase::stream;
  FaultDirection default_direction = FaultDirection::downstream;
  // Is one of the faults that count or cap over their scope.
  bool shares = false;
  // Accept and connect faults: the session ends at once with RST; else it waits for their attribute "delay".
  bool refuses = false;
  // What no single attribute's range can say; empty: nothing.
  Result<void> (*check)(const FaultSpec&) = nullptr;
  // Stream faults: their state in one direction of one session.
  std::unique_ptr<Stage> (*make)(const Seat&) = nullptr;

  [[nodiscard]] auto attribute(std::string_view name) const -> const AttributeInfo*;
};

#define WEIR_FAULT(type) extern const FaultInfo type##_fault;
#include "fault/faults.def"
#undef WEIR_FAULT

// In the order of the documentation.
[[nodiscard]] auto catalog() -> std::span<const FaultInfo* const>;
[[nodiscard]] auto find_fault(std::string_view type) -> const FaultInfo*;

// --- from and to what users write ---

// A field of a fault as it was written: "latency" = "100ms", "probability" = 0.3, "average_size" = 64.
struct Field {
  std::string key;
  std::variant<std::string, std::int64_t, double, bool> value;
};

// "latency latency=100ms jitter=20ms direction=upstream": the type, then fields. Quotes are not known
// here, as no value holds blanks.
[[nodiscard]] auto parse_fault(std::string_view text) -> Result<FaultSpec>;
// Fields: "type", any of name, direction, probability, scope, match, after, for, on, nth, every, and the type's own
// attributes. What is not given has its default. The error is one sentence that names the field.
[[nodiscard]] auto make_fault(std::span<const Field> fields) -> Result<FaultSpec>;
// The same fault with these fields changed. "type", "name" and "direction" may be given only as they are.
[[nodiscard]] auto change_fault(const FaultSpec& now, std::span<const Field> fields) -> Result<FaultSpec>;
// Every field with its effective value in canonical text ("latency" = "100ms"); counts, fractions and
// the probability as numbers. What make_fault(to_fields(f)) gives is the same as f.
[[nodiscard]] auto to_fields(const FaultSpec& spec) -> std::vector<Field>;
// One attribute's value in canonical text.
[[nodiscard]] auto format_value(const AttributeInfo& attribute, const Value& value) -> std::string;
// What a value may be, for people: "a duration such as 100ms", "0 to 1", "flip, replace or truncate".
[[nodiscard]] auto describe_values(const AttributeInfo& attribute) -> std::string;

// --- toxiproxy's eight, with its integers ---

// A classic fault with toxiproxy's defaults (all 0), or the error "invalid toxic type".
[[nodiscard]] auto make_classic(std::string_view type, std::string name, Direction stream, double toxicity)
    -> Result<FaultSpec>;
// Sets one attribute from toxiproxy's integer. Unknown names are not an error: false, nothing is set.
[[nodiscard]] auto set_classic(FaultSpec& spec, std::string_view attribute, std::int64_t value) -> Result<bool>;
// Ranges and check(), after all are set.
[[nodiscard]] auto check_fault(const FaultSpec& spec) -> Result<void>;
// What toxiproxy's routes show: name and integer, in the catalog's order. None if its routes must not
// show the fault: another type, both directions, another scope, a match, after or for, an attribute
// that toxiproxy has not at other than its default, or a value that is no whole number of its units.
[[nodiscard]] auto classic_attributes(const FaultSpec& spec)
    -> std::optional<std::vector<std::pair<std::string_view, std::int64_t>>>;

}  // namespace weir::fault
