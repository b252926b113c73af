#pragma once

#include <memory>
#include <string>
#include <utility>

#include "http/message.h"

namespace weir::http {

// Puts the text of a long body together. Megabytes in one string would be copied each time that it grows, and given
// back in one go: that takes tens of milliseconds.
class BodyText {
 public:
  // The end of what is there: more is added to it before the next call.
  [[nodiscard]] auto end() -> std::string& {
    if (last_.size() >= piece_size) {
      end_piece();
      last_.reserve(piece_size + with_the_last);
    }
    return last_;
  }
  // All of it; what is left is empty.
  [[nodiscard]] auto take() -> BodyPieces {
    end_piece();
    return std::exchange(pieces_, {});
  }

  static constexpr std::size_t piece_size = 256UL << 10U;

 private:
  static constexpr std::size_t with_the_last = 32UL << 10U;
  void end_piece() {
    if (!last_.empty()) pieces_.push_back(std::make_shared<const std::string>(std::exchange(last_, {})));
  }

  BodyPieces pieces_;
  std::string last_;
};

}  // namespace weir::http
