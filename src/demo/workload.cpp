#include "demo/workload.h"

#include <algorithm>

namespace weir::demo {
namespace {

constexpr std::string_view query_text =
    "SELECT a.id, a.name, p.title AS plan, a.seats, a.renewed_at, a.balance_cents\n"
    "  FROM accounts AS a JOIN plans AS p ON p.id = a.plan_id\n"
    " WHERE a.id = 000000 AND a.state = 'active' AND a.region = 'eu-north-1'\n"
    " ORDER BY a.renewed_at DESC, a.id\n"
    " LIMIT 1;  -- page=accounts widget=card trace=5d0c71a2f\n";
static_assert(query_text.size() == query_size);
static_assert(query_text.substr(query_number_at, number_digits) == "000000");

constexpr std::string_view reply_text =
    "id     | name              | plan  | seats | renewed\n"
    "000000 | Northwind Traders | team  |    25 | 2024-03-01\n"
    "balance: 1299.00 EUR, invoices open: 0, last paid: 2024-03-04\n"
    "(1 row)\n";
static_assert(reply_text.size() == reply_size);
static_assert(reply_text.substr(reply_number_at, number_digits) == "000000");

constexpr auto digits_of(std::size_t number) -> std::array<char, number_digits> {
  std::array<char, number_digits> digits{};
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, number /= 10) {
    *digit = static_cast<char>('0' + number % 10);
  }
  return digits;
}

}  // namespace

auto make_query(std::size_t number) -> Query {
  Query query{};
  std::copy(query_text.begin(), query_text.end(), query.begin());
  const auto digits = digits_of(number);
  std::copy(digits.begin(), digits.end(), query.begin() + query_number_at);
  return query;
}

auto reply_to(std::string_view query) -> Reply {
  Reply reply{};
  std::copy(reply_text.begin(), reply_text.end(), reply.begin());
  const auto digits = query.substr(query_number_at, number_digits);
  std::copy(digits.begin(), digits.end(), reply.begin() + reply_number_at);
  return reply;
}

auto make_reply(std::size_t number) -> Reply {
  const Query query = make_query(number);
  return reply_to({query.data(), query.size()});
}

}  // namespace weir::demo
