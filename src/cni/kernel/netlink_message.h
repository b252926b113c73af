#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace weir::cni {

// One netlink message being written: a header, a fixed struct, then attributes (netlink(7), rtnetlink(7)).
class Message {
 public:
  // NLM_F_REQUEST is added to `flags`.
  Message(std::uint16_t type, std::uint16_t flags);

  template <class T>
  auto put(const T& fixed) -> Message& {
    append(&fixed, sizeof(fixed));
    return *this;
  }
  auto bytes(std::uint16_t type, std::span<const std::uint8_t> value) -> Message&;
  auto text(std::uint16_t type, std::string_view value) -> Message&;  // with its terminating zero
  template <class T>
  auto number(std::uint16_t type, T value) -> Message& {
    std::uint8_t raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    return bytes(type, raw);
  }
  // Attributes written inside `inner` become the value of an attribute of `type`.
  template <class Inner>
  auto nest(std::uint16_t type, Inner inner) -> Message& {
    const auto at = begin(type);
    inner(*this);
    end(at);
    return *this;
  }

  // The finished message; `sequence` is put into its header.
  auto finish(std::uint32_t sequence) -> std::span<const std::uint8_t>;
  // Whether the kernel is to say that it took the message (NLM_F_ACK); a refusal is said in any case.
  auto acknowledge(bool wanted) -> void;

 private:
  auto append(const void* data, std::size_t size) -> void;
  auto begin(std::uint16_t type) -> std::size_t;
  auto end(std::size_t at) -> void;

  std::vector<std::uint8_t> bytes_;
};

}  // namespace weir::cni
