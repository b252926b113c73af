#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace weir::load {

// A wrong argument, or a load that could not be made: one sentence. load_main prints it. Exceptions
// are fine here: no mode throws inside its measured window unless the load has failed.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct LoadError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// `--name value` pairs and positional words, each to be taken exactly once. finish() refuses what
// no mode took, so that a misspelt option can never be measured as if it had been given.
class Arguments {
 public:
  Arguments(int argc, char** argv);  // throws UsageError

  auto positional(std::string_view what) -> std::string;  // the next one; throws if there is none
  auto text(const std::string& name, std::string_view otherwise) -> std::string;
  auto number(const std::string& name, std::uint64_t otherwise, std::uint64_t low, std::uint64_t high) -> std::uint64_t;
  auto real(const std::string& name, double otherwise, double low, double high) -> double;
  auto flag(const std::string& name) -> bool;                     // `--name` without a value
  auto all(const std::string& name) -> std::vector<std::string>;  // of a repeatable option
  void finish() const;                                            // throws UsageError on leftovers

 private:
  std::vector<std::string> positional_;
  std::multimap<std::string, std::string> options_;
};

}  // namespace weir::load
