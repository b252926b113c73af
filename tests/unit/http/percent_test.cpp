#include "http/percent.h"

#include <gtest/gtest.h>

namespace weir::http {
namespace {

TEST(Percent, WhatIsCodedIsReadBack) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("a b/c~\xff"), "a%20b%2Fc~%FF");
}

TEST(Percent, AMalformedEscapeStaysAsItIs) {
  EXPECT_EQ(percent_decode("%"), "%");
  EXPECT_EQ(percent_decode("%4"), "%4");
  EXPECT_EQ(percent_decode("%4g%41%zz"), "%4gA%zz");
  EXPECT_EQ(percent_decode("%%41"), "%A");
}

}  // namespace
}  // namespace weir::http
