#include "http/parser.h"

#include <gtest/gtest.h>

namespace weir::http {
namespace {

using Progress = RequestParser::Progress;

// Feeds `first` and `second` as two reads; heads and waits for "100 Continue" are passed over.
struct Outcome {
  std::vector<Request> requests;
  Progress last = Progress::needs_more;
  RequestParser::Refusal refusal;
};
auto parse(const std::vector<std::string>& reads, const Limits& limits = {}) -> Outcome {
  RequestParser parser(limits);
  Outcome out;
  std::string buffer;
  for (const auto& read : reads) {
    buffer += read;
    do {
      out.last = parser.feed(buffer);
      if (out.last == Progress::complete) out.requests.push_back(parser.take().request);
    } while (out.last == Progress::complete || out.last == Progress::has_head || out.last == Progress::wants_continue);
    if (out.last == Progress::failed) break;
  }
  out.refusal = parser.refusal();
  return out;
}

// The head is passed over.
auto feed(RequestParser& parser, std::string& bytes) -> Progress {
  const Progress progress = parser.feed(bytes);
  return progress == Progress::has_head ? parser.feed(bytes) : progress;
}

constexpr std::string_view two_requests =
    "POST /a%20b?x=1&y=%20&z HTTP/1.1\r\nHost: here\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 5\r\n\r\nhello"
    "PUT /c HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n3;q=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: "
    "t\r\n\r\n";

TEST(RequestParser, ReadsRequestsInEverySplit) {
  for (std::size_t cut = 0; cut <= two_requests.size(); ++cut) {
    SCOPED_TRACE(cut);
    const auto out = parse({std::string(two_requests.substr(0, cut)), std::string(two_requests.substr(cut))});
    ASSERT_EQ(out.requests.size(), 2u) << out.refusal.why;
    const Request& post = out.requests[0];
    EXPECT_EQ(post.method, "POST");
    EXPECT_EQ(post.path, "/a%20b");
    EXPECT_EQ(post.query, (std::map<std::string, std::string>{{"x", "1"}, {"y", " "}, {"z", ""}}));
    EXPECT_EQ(post.header("x-two"), "1, 2");
    EXPECT_EQ(post.header("none"), "");
    EXPECT_EQ(post.body, "hello");
    EXPECT_EQ(out.requests[1].method, "PUT");
    EXPECT_EQ(out.requests[1].body, "abcde");
  }
}

TEST(RequestParser, ReadsRequestsByteByByte) {
  std::vector<std::string> bytes;
  for (std::size_t i = 0; i < two_requests.size(); ++i) bytes.emplace_back(two_requests.substr(i, 1));
  const auto out = parse(bytes);
  ASSERT_EQ(out.requests.size(), 2u) << out.refusal.why;
  EXPECT_EQ(out.requests[1].body, "abcde");
}

TEST(RequestParser, ATargetWithAHostIsUnderstood) {
  const auto out =
      parse({"GET http://other:80/path?q=1 HTTP/1.1\r\nHost: here\r\n\r\nGET HTTP://bare HTTP/1.1\r\nHost: w\r\n\r\n"});
  ASSERT_EQ(out.requests.size(), 2u);
  EXPECT_EQ(out.requests[0].path, "/path");
  EXPECT_EQ(out.requests[0].header("host"), "other:80");
  EXPECT_EQ(out.requests[1].path, "/");
}

TEST(RequestParser, SaysOnceThatTheClientWaitsForAContinue) {
  RequestParser parser({});
  std::string buffer = "POST / HTTP/1.1\r\nHost: w\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
  EXPECT_EQ(feed(parser, buffer), Progress::wants_continue);
  EXPECT_EQ(feed(parser, buffer), Progress::needs_more);
  buffer = "o";
  EXPECT_EQ(feed(parser, buffer), Progress::needs_more);
  buffer = "k";
  EXPECT_EQ(feed(parser, buffer), Progress::complete);
  EXPECT_EQ(parser.take().request.body, "ok");
}

TEST(RequestParser, TellsWhetherTheConnectionGoesOn) {
  const auto keeps = [](std::string text) {
    RequestParser parser({});
    EXPECT_EQ(feed(parser, text), Progress::complete);
    return parser.take().keep_alive;
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: w\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(RequestParser, HasBegunFromTheFirstByteToTheLast) {
  RequestParser parser({});
  std::string buffer;
  EXPECT_FALSE(parser.began());
  buffer = "G";
  EXPECT_EQ(feed(parser, buffer), Progress::needs_more);
  EXPECT_TRUE(parser.began());
  buffer += "ET / HTTP/1.1\r\nHost: w\r\n\r\n";
  EXPECT_EQ(feed(parser, buffer), Progress::complete);
  (void)parser.take();
  EXPECT_FALSE(parser.began());
}

TEST(RequestParser, WhatIsMalformedIsRefusedWithASentence) {
  for (const std::string_view bad : {
           " / HTTP/1.1\r\nHost: w\r\n\r\n",
           "GET\r\n\r\n",
           "GET / HTTP/2.0\r\n\r\n",
           "GET / HTTP/1.1\nHost: x\n\n\r\n\r\n",
           "GET /\x01 HTTP/1.1\r\nHost: w\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: w\r\nNo colon\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: w\r\nBad name : x\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: w\r\nX: a\x01\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: x\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: -1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 99999999999999999999999\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           "POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
       }) {
    const auto out = parse({std::string(bad)});
    EXPECT_EQ(out.last, Progress::failed) << bad;
    EXPECT_TRUE(out.requests.empty()) << bad;
    EXPECT_EQ(out.refusal.status, 400) << bad;
    EXPECT_TRUE(out.refusal.why.starts_with("malformed HTTP request: ")) << out.refusal.why;
  }
}

TEST(RequestParser, ShowsTheHeadBeforeItKeepsTheBody) {
  RequestParser parser({});
  std::string buffer = "POST /a?b=c HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  EXPECT_EQ(parser.feed(buffer), Progress::has_head);
  EXPECT_FALSE(parser.is_complete());
  const Request head = parser.head();
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/a");
  EXPECT_EQ(head.query.at("b"), "c");
  EXPECT_EQ(head.header("host"), "w");
  EXPECT_EQ(parser.feed(buffer), Progress::wants_continue);
  EXPECT_EQ(parser.feed(buffer), Progress::needs_more);
  buffer = "hello";
  EXPECT_EQ(parser.feed(buffer), Progress::complete);
  EXPECT_EQ(parser.take().request.body, "hello");
  buffer = "GET / HTTP/1.1\r\nHost: w\r\n\r\n";
  EXPECT_EQ(parser.feed(buffer), Progress::has_head);
  EXPECT_TRUE(parser.is_complete());
  EXPECT_EQ(parser.feed(buffer), Progress::complete);
}

// HTTP/1.1's framing, rule by rule: what is understood, and what two readers could understand in two ways.
struct Framed {
  std::string_view head;  // without the Host and the empty line
  std::string_view rest;
  std::string_view expected;  // the bodies of the requests that are read, in brackets, or how the refusal begins
};
class Conformance : public testing::TestWithParam<Framed> {};
TEST_P(Conformance, OfFraming) {
  const auto& [head, rest, expected] = GetParam();
  for (const std::size_t piece : {1UL, 7UL, 100'000UL}) {
    const std::string all = std::string(head) + "Host: w\r\n\r\n" + std::string(rest);
    std::vector<std::string> reads;
    for (std::size_t at = 0; at < all.size(); at += piece) reads.push_back(all.substr(at, piece));
    const auto out = parse(reads);
    std::string seen;
    for (const auto& request : out.requests) seen += "[" + request.body + "]";
    if (out.last == Progress::failed) seen += std::to_string(out.refusal.status) + " " + out.refusal.why;
    EXPECT_TRUE(expected.starts_with('[') && out.last != Progress::failed ? seen == expected
                                                                          : seen.starts_with(expected))
        << seen;
  }
}
constexpr std::string_view hidden = "GET /hidden HTTP/1.1\r\nHost: w\r\n\r\n";
INSTANTIATE_TEST_SUITE_P(
    RFC9112, Conformance,
    testing::Values(
        // 2.2, 3: the lines of a head.
        Framed{"GET / HTTP/1.1\r\n", "", "[]"}, Framed{"\r\nGET / HTTP/1.1\r\n", "", "[]"},
        Framed{"get / HTTP/1.1\r\n", "", "[]"}, Framed{"GET / HTTP/1.0\r\n", "", "[]"},
        Framed{"GET  / HTTP/1.1\r\n", "", "400"}, Framed{"GET / HTTP/1.1 \r\n", "", "400"},
        Framed{"GET / HTTP/3.0\r\n", "", "400"}, Framed{"GET / HTTP/1.1\n", "", "400"}, Framed{"GET /\r\n", "", "400"},
        Framed{"GET /a b HTTP/1.1\r\n", "", "400"}, Framed{"G\tET / HTTP/1.1\r\n", "", "400"},
        // 5: fields.
        Framed{"GET / HTTP/1.1\r\nX:\r\n", "", "[]"}, Framed{"GET / HTTP/1.1\r\nX:  y \t\r\n", "", "[]"},
        Framed{"GET / HTTP/1.1\r\nX : y\r\n", "", "400"}, Framed{"GET / HTTP/1.1\r\n: y\r\n", "", "400"},
        Framed{"GET / HTTP/1.1\r\nX: a\rb\r\n", "", "400"}, Framed{"GET / HTTP/1.1\r\n X: y\r\n", "", "400"},
        // 6.1: a Transfer-Encoding.
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\n\r\n", "[ab]"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n", "2\r\nab\r\n0\r\n\r\n", "[ab]"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n", hidden, "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n", hidden, "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n", hidden, "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n", "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", hidden, "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n", hidden, "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n", hidden, "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n", hidden, "400"},
        Framed{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", "400"},
        Framed{"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n", "400"},
        // 6.2, 6.3: a Content-Length.
        Framed{"POST / HTTP/1.1\r\nContent-Length: 3\r\n", "abcGET / HTTP/1.1\r\nHost: w\r\n\r\n", "[abc][]"},
        Framed{"POST / HTTP/1.1\r\nContent-Length: 0\r\n", "", "[]"},
        Framed{"POST / HTTP/1.1\r\n", hidden, "[][]"},  // none: no body
        Framed{"POST / HTTP/1.1\r\nContent-Length: +3\r\n", "abc", "400"},
        Framed{"POST / HTTP/1.1\r\nContent-Length: 0x3\r\n", "abc", "400"},
        Framed{"POST / HTTP/1.1\r\nContent-Length: 3 3\r\n", "abc", "400"},
        Framed{"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n", "abc", "400"},
        Framed{"POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n", "", "400"},
        // 7.1: chunks.
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "A;x=\"y\"\r\n0123456789\r\n0\r\nT: u\r\n\r\n",
               "[0123456789]"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n", "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "-1\r\n", "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "0x2\r\nab\r\n0\r\n\r\n", "400"},
        Framed{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "10000000000000000\r\n", "400"}));

// 3.2
TEST(RequestParser, ARequestHasOneHost) {
  EXPECT_EQ(parse({"GET / HTTP/1.1\r\nX: y\r\n\r\n"}).refusal.why,
            "malformed HTTP request: it has no Host: HTTP/1.1 needs one");
  EXPECT_EQ(parse({"GET / HTTP/1.0\r\nX: y\r\n\r\n"}).requests.size(), 1U);
  EXPECT_EQ(parse({"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n"}).refusal.status, 400);
  EXPECT_EQ(parse({"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"}).requests.at(0).header("host"), "a");
}

TEST(RequestParser, HeadersHaveALimit) {
  const std::string begin = "GET / HTTP/1.1\r\nHost: w\r\nX: ";
  const std::string end = "\r\n\r\n";
  const std::size_t room = Limits{}.header_bytes - begin.size() - end.size();
  const std::string longest = begin + std::string(room, 'x') + end;
  const std::string too_long = begin + std::string(room + 1, 'x') + end;
  const std::string next = "GET /" + std::string(1000, 'y') + " HTTP/1.1\r\nHost: w\r\n\r\n";
  for (const std::size_t cut : {0UL, 5UL, 16UL, 18UL, 1000UL, longest.size() - 2}) {
    SCOPED_TRACE(cut);
    const auto whole = longest + next;
    EXPECT_EQ(parse({whole.substr(0, cut), whole.substr(cut)}).requests.size(), 2u);
    const auto out = parse({too_long.substr(0, cut), too_long.substr(cut)});
    EXPECT_EQ(out.refusal.status, 431);
    EXPECT_EQ(out.refusal.why, "the headers are longer than 16 KiB");
  }
  const auto many = parse({"GET / HTTP/1.1\r\nHost: w\r\n", "\r\n" + next + longest});
  EXPECT_EQ(many.requests.size(), 3u) << "what comes after an end is not counted";
  EXPECT_EQ(parse({"GET /" + std::string(Limits{}.header_bytes, 'x')}).refusal.status, 431);
}

TEST(RequestParser, BodiesHaveALimitHoweverTheyCome) {
  const std::size_t most = Limits{}.body_bytes;
  const auto with_length = [](std::size_t length) {
    return "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
  };
  EXPECT_EQ(parse({with_length(most), std::string(most, 'x')}).requests.size(), 1u);
  const auto announced = parse({with_length(most + 1)});
  EXPECT_EQ(announced.refusal.status, 413) << "before a byte of it is read";
  EXPECT_EQ(announced.refusal.why, "the body is longer than 1 MiB");
  std::string chunks = "POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t i = 0; i <= most / 0x8000; ++i) chunks += "8000\r\n" + std::string(0x8000, 'x') + "\r\n";
  EXPECT_EQ(parse({chunks}).refusal.status, 413);
}

// RFC 9110, 6.5.1: a trailer comes after all that it could change was decided.
TEST(RequestParser, ATrailerChangesNothingOfItsRequestInAnySplit) {
  const std::string text =
      "PUT /c HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\nHost: there\r\n"
      "Authorization: Bearer x\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    SCOPED_TRACE(cut);
    const auto out = parse({text.substr(0, cut), text.substr(cut)});
    ASSERT_EQ(out.requests.size(), 1u) << out.refusal.why;
    EXPECT_EQ(out.requests[0].body, "de");
    EXPECT_EQ(out.requests[0].headers.at("host"), "here");
    EXPECT_EQ(out.requests[0].headers.size(), 2u) << "none of the trailer's";
  }
  RequestParser parser({});
  std::string bytes = text;
  ASSERT_EQ(feed(parser, bytes), Progress::complete);
  EXPECT_TRUE(parser.take().keep_alive);
}

TEST(RequestParser, ChunkLinesAndTrailersHaveTheHeadersLimit) {
  const std::string begin = "POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string long_text(Limits{}.header_bytes, 'x');
  for (const auto& endless : {"1;" + long_text, "0\r\nX: " + long_text}) {
    EXPECT_EQ(parse({begin + endless}).refusal.status, 431);
    EXPECT_EQ(parse({begin, endless}).refusal.status, 431);
  }
}

TEST(RequestParser, LimitsAreNamedAsTheyAre) {
  EXPECT_EQ(parse({std::string(200, 'x')}, {.header_bytes = 100}).refusal.why, "the headers are longer than 100 bytes");
}

}  // namespace
}  // namespace weir::http
