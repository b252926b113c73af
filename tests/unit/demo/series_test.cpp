#include "demo/series.h"

#include <gtest/gtest.h>

#include <vector>

namespace weir::demo {
namespace {

using namespace std::chrono_literals;

auto series_of(std::vector<Nanos> per_query) -> Series { return {.name = "a page", .per_query = std::move(per_query)}; }

TEST(Series, TotalAndMeanAreThoseOfTheQueries) {
  const Series series = series_of({10us, 20us, 60us});
  EXPECT_EQ(series.total(), 90us);
  EXPECT_EQ(series.mean(), 30us);
}

TEST(Series, APercentileIsTheNearestRankAndAlwaysAMeasuredValue) {
  std::vector<Nanos> hundred;
  for (int i = 100; i >= 1; --i) hundred.push_back(i * 1us);  // in falling order: it must sort
  const Series series = series_of(hundred);
  EXPECT_EQ(series.percentile(50), 50us);
  EXPECT_EQ(series.percentile(99), 99us);
  EXPECT_EQ(series.percentile(99.5), 100us);
  EXPECT_EQ(series.percentile(100), 100us);
  EXPECT_EQ(series.percentile(0.1), 1us);
  EXPECT_EQ(series_of({5us, 7us}).percentile(50), 5us);
  EXPECT_EQ(series_of({5us, 7us}).percentile(51), 7us);
}

TEST(Series, WithoutQueriesAllIsZero) {
  EXPECT_EQ(series_of({}).mean(), 0ns);
  EXPECT_EQ(series_of({}).percentile(99), 0ns);
}

TEST(Series, TheMedianPageIsTheOneInTheMiddleByTotal) {
  const std::vector<Series> pages{series_of({9us}), series_of({1us, 1us}), series_of({2us, 3us})};
  EXPECT_EQ(median_by_total(pages).per_query, (std::vector<Nanos>{2us, 3us}));
  EXPECT_EQ(median_by_total({series_of({9us}), series_of({1us})}).total(), 1us);
  EXPECT_EQ(median_by_total({series_of({4us})}).total(), 4us);
}

}  // namespace
}  // namespace weir::demo
