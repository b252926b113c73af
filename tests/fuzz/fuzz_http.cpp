// Any bytes as what a client sends, in any pieces, with any delays, to the server over a scripted socket. Requests are
// answered at once, later, never or by a stream; the client reads or does not, ends its side, or resets.
//
// The first 8 bytes of an input choose what happens when; the rest is what the client sends. Rules:
//   - no crash, no turn without an end, no read or write that makes no sense (scripted_peer.h);
//   - buffers stay within the limits;
//   - every request that is complete gets one answer, in order, and the pieces in which it comes change nothing.
#include <cstdlib>
#include <cstring>

#include "http/scripted_peer.h"

namespace {

using namespace weir;
using namespace weir::http;
using namespace weir::http::scripted;

void must(bool holds, const char* rule) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", rule);
  std::abort();
}

class Choices {
 public:
  explicit Choices(std::uint64_t seed) : state_(seed | 1) {}
  auto below(std::uint64_t n) -> std::uint64_t {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return (state_ >> 33) % n;
  }

 private:
  std::uint64_t state_;
};

const Limits limits{.header_bytes = 512, .body_bytes = 2048, .stream_bytes = 1024, .waiting_bytes = 1 << 20};
constexpr std::size_t largest_answer = 3000;

class ShortStream final : public BodyStream {
 public:
  auto begin(std::function<void()> wake) -> std::string override {
    wake_ = std::move(wake);
    return "begin";
  }
  auto more(std::size_t room) -> std::string override {
    if (left_ == 0) return "";
    --left_;
    if (left_ % 3 == 0) wake_();
    return std::string(std::min<std::size_t>(room, 300), 's');
  }

 private:
  std::function<void()> wake_;
  int left_ = 20;
};

// How many requests there are in all of it, read in one piece, up to the first after which no other is read.
auto count_requests(std::string bytes) -> std::size_t {
  RequestParser parser(limits);
  std::size_t count = 0;
  while (true) {
    const auto progress = parser.feed(bytes);
    using enum RequestParser::Progress;
    if (progress == has_head || progress == wants_continue) continue;
    if (progress != RequestParser::Progress::complete) return count;
    ++count;
    if (!parser.take().keep_alive) return count;
  }
}

struct Story {
  bool patient = true;   // no clock ran out, nobody was reset
  bool streams = false;  // one was asked for: no request is read after it
  std::size_t handled = 0;
};

class Run {
 public:
  Run(std::uint64_t seed, std::string_view bytes) : choose_(seed), bytes_(bytes), world_(limits) {
    with_streams_ = choose_.below(8) == 0;
    with_clocks_ = choose_.below(8) == 0;
    with_drops_ = choose_.below(4) == 0;
    later_of_8_ = choose_.below(9);
    world_.at_once = [this](Request request, Responder responder) { handle(std::move(request), std::move(responder)); };
  }

  void play() {
    ScriptedPeer& peer = world_.connect();
    if (choose_.below(4) == 0) peer.most_per_read = 1 + choose_.below(40);
    if (choose_.below(4) == 0) peer.most_per_write = 1 + choose_.below(40);
    if (choose_.below(2) == 0) peer.send_buffer = 1 + choose_.below(4000);
    std::string_view left = bytes_;
    while (!left.empty()) {
      const std::size_t n = std::min<std::size_t>(left.size(), 1 + choose_.below(choose_.below(3) == 0 ? 2000 : 30));
      peer.sends(left.substr(0, n));
      left.remove_prefix(n);
      if (choose_.below(3) != 0) step(peer);
    }
    for (std::uint64_t i = choose_.below(4); i > 0; --i) step(peer);
    const bool ends = choose_.below(2) == 0;
    if (ends) peer.sends_fin();
    finish(peer);
    judge(peer, ends);
  }

 private:
  void handle(Request request, Responder responder) {
    ++story_.handled;
    must(request.body.size() <= limits.body_bytes, "a body beyond its limit was handled");
    must(request.path.size() <= limits.header_bytes, "a target beyond its limit was handled");
    if (with_streams_ && choose_.below(8) == 0) {
      story_.streams = true;
      return responder.answer({.stream = std::make_unique<ShortStream>()});
    }
    if (choose_.below(8) < later_of_8_) {
      held_.push_back({std::move(request), std::move(responder)});
      return;
    }
    answer(responder);
  }
  void answer(Responder& responder) {
    if (with_drops_ && choose_.below(4) == 0) {
      const Responder gone = std::move(responder);
      return;
    }
    Response response{.body = std::string(choose_.below(largest_answer), 'b')};
    response.set("X-Number", std::to_string(story_.handled));
    responder.answer(std::move(response));
  }
  void step(ScriptedPeer& peer) {
    switch (choose_.below(8)) {
      case 0: peer.stops_reading(); break;
      case 1: peer.reads_on(); break;
      case 2: peer.takes(choose_.below(500)); break;
      case 3: peer.deliver(); break;
      case 4: world_.loop->run_once(Nanos{0}); break;
      case 5:
        if (with_clocks_) {
          story_.patient = false;
          world_.pass(std::chrono::seconds{choose_.below(40)});
        }
        break;
      case 6:
        if (with_clocks_ && choose_.below(4) == 0) {
          story_.patient = false;
          peer.resets();
        }
        break;
      default: world_.run();
    }
    answer_some(choose_.below(3));
    look();
  }
  void answer_some(std::uint64_t n) {
    for (; n > 0 && !held_.empty(); --n) {
      must(held_.size() == 1, "two requests of one connection were handled at once");
      Responder responder = std::move(held_.front().responder);
      held_.pop_front();
      answer(responder);
    }
  }
  void look() {
    // A read more than a header's limit; an answer and a stream's bound, each twice for the growth of a string.
    const std::size_t most = 2 * (limits.header_bytes + 16384) + 2 * (largest_answer + 500 + 2 * limits.stream_bytes);
    must(world_.server.held_bytes() <= most, "the buffers grew beyond the limits");
  }
  void finish(ScriptedPeer& peer) {
    peer.reads_on();
    for (int i = 0; i < 100'000; ++i) {
      world_.run();
      look();
      if (held_.empty()) return;
      answer_some(1);
    }
    must(false, "the requests have no end");
  }
  void judge(ScriptedPeer& peer, bool ends) {
    if (story_.patient && !story_.streams) {
      must(story_.handled == count_requests(std::string(bytes_)), "the pieces changed what was asked");
      auto seen = responses(peer.received());
      must(seen.has_value(), "what came back is no sequence of responses");
      std::size_t ours = 0;
      std::size_t refused = 0;
      std::size_t last = 0;
      for (const Seen& each : *seen) {
        if (each.status == 400 || each.status == 413 || each.status == 431) ++refused;
        if (each.status != 200 && each.status != 500) continue;
        ++ours;
        const auto at = each.head.find("X-Number: ");
        if (at == std::string::npos) continue;
        const auto number = static_cast<std::size_t>(std::atoll(each.head.c_str() + at + 10));
        must(number > last, "the answers are out of order");
        last = number;
      }
      must(ours == story_.handled, "a request got no answer, or two");
      must(refused <= 1, "refused twice");
      must(!peer.saw_reset(), "the server's close took its answers away");
    }
    if (ends) must(peer.is_closed() || peer.saw_fin() || !held_.empty(), "a peer that has ended is kept");
    world_.pass(std::chrono::minutes{10});
    if (!story_.streams) must(world_.server.connections() == 0, "a connection lives for ever");
    must(world_.server.connections() > 0 || world_.server.held_bytes() == 0, "bytes are held for nobody");
  }
  // HEAD's have no body, and "100 Continue" is none.
  [[nodiscard]] static auto responses(std::string_view bytes) -> std::optional<std::vector<Seen>> {
    std::vector<Seen> all;
    while (!bytes.empty()) {
      const auto end = bytes.find("\r\n\r\n");
      if (end == std::string_view::npos || !bytes.starts_with("HTTP/1.1 ")) return std::nullopt;
      Seen seen{.status = std::atoi(std::string(bytes.substr(9, 3)).c_str()),
                .head = std::string(bytes.substr(0, end + 2)),
                .body = {}};
      bytes.remove_prefix(end + 4);
      const auto at = seen.head.find("\r\nContent-Length: ");
      const auto length =
          at == std::string::npos ? 0U : static_cast<std::size_t>(std::atoll(seen.head.c_str() + at + 18));
      const bool no_body = length > 0 && (bytes.empty() || bytes.starts_with("HTTP/1.1 "));
      if (!no_body) {
        if (length > bytes.size()) return std::nullopt;
        bytes.remove_prefix(length);
      }
      all.push_back(std::move(seen));
    }
    return all;
  }

  Choices choose_;
  std::string_view bytes_;
  Story story_;
  bool with_streams_ = false;
  bool with_clocks_ = false;
  bool with_drops_ = false;
  std::uint64_t later_of_8_ = 0;
  std::deque<ScriptedWorld::Held> held_;
  ScriptedWorld world_;
};

}  // namespace

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  std::uint64_t seed = 0;
  if (size < sizeof seed) return 0;
  std::memcpy(&seed, data, sizeof seed);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + sizeof seed, size - sizeof seed);
  try {
    Run(seed, bytes).play();
  } catch (const Violation& rule) {
    must(false, rule.what());
  }
  return 0;
}
