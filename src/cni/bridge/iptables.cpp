// The text that iptables-save writes and iptables-restore reads; no program is run here.
#include "cni/bridge/iptables.h"

#include <algorithm>

#include "cni/bridge/names.h"

namespace weir::cni::bridge {
namespace {

// The words of a line, quoted as iptables-save does it.
auto words_of(std::string_view line) -> std::vector<std::string> {
  std::vector<std::string> words;
  bool in_word = false;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (!quoted && c == ' ') {
      in_word = false;
      continue;
    }
    if (!std::exchange(in_word, true)) words.emplace_back();
    if (c == '"') {
      quoted = !quoted;
    } else if (c == '\\' && i + 1 < line.size()) {
      words.back() += line[++i];
    } else {
      words.back() += c;
    }
  }
  return words;
}

auto parse_rule(std::string_view line) -> NatRule {
  NatRule rule;
  rule.line = line;
  const auto words = words_of(line);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const bool negated = i > 0 && words[i - 1] == "!";
    if (words[i] == "-A") rule.chain = words[i + 1];
    if (words[i] == "-j" || words[i] == "-g") rule.jump = words[i + 1];
    if (words[i] == "--comment") rule.comment = words[i + 1];
    if (words[i] == "-s" && !negated) {
      rule.source = Prefix::parse(words[i + 1]);
      if (const auto ip = Ip::parse(words[i + 1]); ip) rule.source = Prefix{*ip, ip->bits()};
    }
  }
  return rule;
}

auto match(const std::string& comment) -> std::string { return " -m comment --comment " + in_quotes(comment); }

struct Lines {
  std::string chain;
  std::string comment;

  explicit Lines(const NatWish& wish)
      : chain(iptables_chain(wish.network, wish.container)),
        comment(match(iptables_comment(wish.network, wish.container))) {}

  [[nodiscard]] auto accept(const Prefix& address) const -> std::string {
    return text({chain, " -d ", address.network().to_string(), comment, " -j ACCEPT\n"});
  }
  [[nodiscard]] auto masquerade(const Prefix& address) const -> std::string {
    return text({chain, " ! -d ", address.ip.is_v4() ? "224.0.0.0/4" : "ff00::/8", comment, " -j MASQUERADE\n"});
  }
  [[nodiscard]] auto jump(const Prefix& address) const -> std::string {
    return text({"POSTROUTING -s ", Prefix{address.ip, address.ip.bits()}.to_string(), comment, " -j ", chain, "\n"});
  }
};

auto in_nat(const std::string& lines) -> std::string { return "*nat\n" + lines + "COMMIT\n"; }

// The words of a rule with its addresses in our spelling: the programs may write one another way, and leave out a
// network that holds every address.
auto normalized(const std::string& line) -> std::vector<std::string> {
  std::vector<std::string> out;
  for (auto& word : words_of(line)) {
    const auto network = Prefix::parse(word);
    if (network && network->length == 0 && !out.empty() && out.back() == "-d") {
      out.pop_back();
    } else {
      out.push_back(network ? network->to_string() : std::move(word));
    }
  }
  return out;
}

// Whether the table has the rule that `line` (without -A) would add.
auto has_rule(const NatTable& now, const std::string& line) -> bool {
  const auto wanted = normalized("-A " + line.substr(0, line.size() - 1));
  return std::any_of(now.rules.begin(), now.rules.end(),
                     [&](const NatRule& rule) { return normalized(rule.line) == wanted; });
}

}  // namespace

auto parse_nat(std::string_view save) -> NatTable {
  NatTable table;
  bool in_table = false;
  while (!save.empty()) {
    const auto end = std::min(save.find('\n'), save.size());
    const auto line = save.substr(0, end);
    save.remove_prefix(std::min(end + 1, save.size()));
    if (line.starts_with('*')) in_table = line == "*nat";
    if (!in_table) continue;
    if (line.starts_with(':')) table.chains.emplace_back(line.substr(1, line.find(' ') - 1));
    if (line.starts_with("-A ")) table.rules.push_back(parse_rule(line));
  }
  return table;
}

auto first_nat_input(const NatWish& wish) -> std::string {
  const Lines lines(wish);
  auto input = text({"-N ", lines.chain, "\n"});
  return in_nat(input + missing_nat_input(wish, {}));
}

auto missing_nat_input(const NatWish& wish, const NatTable& now) -> std::string {
  const Lines lines(wish);
  const bool there = now.has_chain(lines.chain);
  std::string input;
  std::vector<std::string> accepted;
  for (const auto& address : wish.addresses) {
    auto line = lines.accept(address);
    if (has_rule(now, line) || std::find(accepted.begin(), accepted.end(), line) != accepted.end()) continue;
    // In front of the masquerade that an earlier interface's chain ends with.
    input += text({there ? "-I " : "-A ", line});
    accepted.push_back(std::move(line));
  }
  if (!wish.addresses.empty() && !has_rule(now, lines.masquerade(wish.addresses.front()))) {
    input += "-A " + lines.masquerade(wish.addresses.front());
  }
  for (const auto& address : wish.addresses) {
    if (!has_rule(now, lines.jump(address))) input += "-A " + lines.jump(address);
  }
  return input;
}

auto removal_nat_input(const NatTable& now, const Goes& goes) -> std::string {
  const auto removal = choose_nat_removal(now.rules, goes);
  std::string input;
  for (const auto* jump : removal.jumps) input += text({"-D ", std::string_view(jump->line).substr(3), "\n"});
  for (const auto& chain : removal.chains) input += text({"-F ", chain, "\n-X ", chain, "\n"});
  return input.empty() ? input : in_nat(input);
}

}  // namespace weir::cni::bridge
