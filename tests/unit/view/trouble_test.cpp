// Files that fill a disk, are moved away, are cut or are removed while a view writes to them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "view/scene.h"

namespace weir::view {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TroubledFile : public testing::Test {
 protected:
  TroubledFile() : folder_(std::filesystem::temp_directory_path() / "weir-view-XXXXXX") {
    std::string name = folder_.string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    std::signal(SIGXFSZ, SIG_IGN);
  }
  ~TroubledFile() override {
    limit(RLIM_INFINITY);
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] auto path(const std::string& name = "view") const -> std::string { return folder_ / name; }
  static auto text(const std::string& path) -> std::string {
    std::stringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
  }
  // No file of this process may be longer.
  static void limit(rlim_t bytes) {
    rlimit now{};
    ::getrlimit(RLIMIT_FSIZE, &now);
    now.rlim_cur = std::min(bytes, now.rlim_max);
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &now), 0);
  }

  auto options(const std::string& path) -> OutputOptions {
    OutputOptions options;
    options.path = path;
    options.trouble = Trouble::passes;
    options.retry_every = Nanos{0};
    options.say = [this](LogLevel, const std::string& line) { said_.push_back(line); };
    return options;
  }
  static auto file(const std::string& path) -> Fd { return open_for_writing(path, 0, 0600).value(); }

  std::filesystem::path folder_;
  std::vector<std::string> said_;
};

TEST_F(TroubledFile, AFullDiskIsTriedAgainAndToldOnceWithPathAndErrno) {
  std::filesystem::create_symlink("/dev/full", path());
  Output output(file(path()), options(path()));
  output.append("first\n");
  EXPECT_TRUE(output.flush());
  EXPECT_TRUE(output.flush());
  EXPECT_TRUE(output.is_down());
  EXPECT_FALSE(output.closed());
  EXPECT_EQ(output.status().error, ENOSPC);
  EXPECT_EQ(output.due(), Nanos{0});
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], HasSubstr(path() + ": No space left on device (ENOSPC)"));

  std::filesystem::remove(path());
  EXPECT_TRUE(output.flush());
  EXPECT_FALSE(output.is_down());
  EXPECT_EQ(text(path()), "first\n");
  EXPECT_EQ(output.status().error, 0);
  EXPECT_EQ(output.status().outages, 1u);
  ASSERT_EQ(said_.size(), 2u);
  EXPECT_THAT(said_[1], HasSubstr("written to again"));
}

TEST_F(TroubledFile, AnOutageIsToldOnceHoweverLongItLasts) {
  std::filesystem::create_symlink("/dev/full", path());
  OutputOptions often = options(path());
  often.say_at_most = Nanos{0};
  Output output(file(path()), often);
  output.append("x\n");
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(output.flush());
  EXPECT_EQ(said_.size(), 1u);
}

TEST_F(TroubledFile, OutagesThatFollowEachOtherAreToldOnceAMinute) {
  std::filesystem::create_symlink("/dev/full", path("full"));
  for (int i = 0; i < 3; ++i) std::ofstream(path(std::to_string(i)));
  std::filesystem::create_symlink(path("full"), path());
  Output output(file(path()), options(path()));
  for (int i = 0; i < 3; ++i) {
    output.append("x\n");
    EXPECT_TRUE(output.flush());
    EXPECT_TRUE(output.is_down());
    std::filesystem::remove(path());
    EXPECT_TRUE(output.flush());
    EXPECT_FALSE(output.is_down());
    std::filesystem::remove(path());
    std::filesystem::create_symlink(path("full"), path());
    output.reopen();
    EXPECT_TRUE(output.flush());
  }
  EXPECT_EQ(said_.size(), 2u) << "one outage, and its end";
  EXPECT_EQ(output.status().outages, 3u);
}

TEST_F(TroubledFile, HalfALineIsFinished) {
  Output output(file(path()), options(path()));
  limit(10);
  output.append("0123456789abcdef\n");
  EXPECT_TRUE(output.flush());
  EXPECT_TRUE(output.is_down());
  EXPECT_EQ(output.why_down(), EFBIG);
  EXPECT_EQ(text(path()), "0123456789");
  limit(RLIM_INFINITY);
  EXPECT_TRUE(output.flush());
  EXPECT_EQ(text(path()), "0123456789abcdef\n");
}

// Given that the record which met the full disk is longer than the buffer.
TEST_F(TroubledFile, ARecordThatWasBegunIsKeptToItsEnd) {
  Output output(file(path()), options(path()));
  limit(100);
  const std::string record(3 * Output::capacity, 'x');
  output.append(record);
  std::memcpy(output.space(1), "\n", 1);
  output.commit(1);
  EXPECT_TRUE(output.flush());
  limit(RLIM_INFINITY);
  EXPECT_TRUE(output.flush());
  EXPECT_TRUE(text(path()) == record + "\n");
}

TEST_F(TroubledFile, ARemovedFileLetsGoOfItsBytesAndTheNextBeginsWithAWholeLine) {
  Output output(file(path()), options(path()));
  limit(10);
  output.append("0123456789abcdef\nwhole\n");
  EXPECT_TRUE(output.flush());
  std::filesystem::remove(path());
  EXPECT_TRUE(output.flush());
  EXPECT_EQ(text(path()), "whole\n");
  EXPECT_EQ(output.status().lost_events, 1u) << "the line that was torn";
}

TEST_F(TroubledFile, OfARecordThatTheOldFileTookByHalfTheNewOneGetsNothing) {
  for (std::uint64_t at = 1; at < 22; ++at) {
    SCOPED_TRACE(at);
    std::filesystem::remove(path());
    Output output(file(path()), options(path()));
    limit(at);
    const std::array<std::string, 3> records{"head\n", "head\n  body\n", "tail\n"};
    for (const auto& record : records) {
      output.append(record);
      output.end_record({.chunks = 1, .bytes = record.size()});
    }
    EXPECT_TRUE(output.flush());
    limit(RLIM_INFINITY);
    std::filesystem::remove(path());
    std::ofstream(path()) << "mid";
    EXPECT_TRUE(output.flush());
    std::string expected = "mid\n";
    std::optional<std::size_t> torn;
    std::uint64_t begin = 0;
    for (const auto& record : records) {
      if (begin >= at) expected += record;
      if (begin < at && at < begin + record.size()) torn = record.size();
      begin += record.size();
    }
    EXPECT_EQ(text(path()), expected);
    const auto told = output.take_torn();
    ASSERT_EQ(told.has_value(), torn.has_value());
    EXPECT_FALSE(output.take_torn()) << "it is told once";
    EXPECT_EQ(output.status().lost_chunks, torn ? 1u : 0u);
    EXPECT_EQ(output.status().lost_bytes, torn.value_or(0));
    EXPECT_EQ(told.value_or(event::Gap{.error = EFBIG}).error, EFBIG);
  }
}

TEST_F(TroubledFile, WhatIsLeftOutIsCountedInAGap) {
  std::filesystem::create_symlink("/dev/full", path());
  Output output(file(path()), options(path()));
  set_zone("UTC0");
  const auto view = make_view({.kind = ViewKind::json}, output);
  BlockPool pool;
  const auto chunk = [&](std::string_view bytes) {
    view->on_event({MonoTime{1s}, ProxyId{}, SessionNumber{1},
                    event::ChunkRead{pool.copy(std::as_bytes(std::span(bytes))), 0, std::nullopt, {}}},
                   0s);
  };
  chunk("kept");
  EXPECT_TRUE(view->flush());
  chunk("lost");
  chunk("lost too");
  view->on_event({MonoTime{2s}, ProxyId{}, SessionNumber{1}, event::HalfClosed{}}, 0s);
  EXPECT_EQ(view->flush_due(), Nanos{0}) << "it is tried again although nothing comes";
  std::filesystem::remove(path());
  EXPECT_TRUE(view->flush());
  chunk("after");
  EXPECT_TRUE(view->flush());
  const std::string printed = text(path());
  std::vector<std::string> events;
  std::stringstream lines(printed);
  for (std::string line; std::getline(lines, line);) events.push_back(line.substr(10, 5));
  EXPECT_THAT(events, ElementsAre("chunk", "gap\",", "chunk"));
  EXPECT_THAT(printed, HasSubstr(R"("text":"kept"})"));
  EXPECT_THAT(printed, HasSubstr(R"("chunks":2,"bytes":12,"events":1,"error":"No space left on device"})"));
  EXPECT_EQ(output.status().lost_chunks, 2u);
}

TEST_F(TroubledFile, AChunkThatWasTornIsInTheGapAsAWhole) {
  for (const ViewKind kind : {ViewKind::json, ViewKind::text, ViewKind::hex, ViewKind::dump}) {
    SCOPED_TRACE(to_string(kind));
    std::filesystem::remove(path());
    Output output(file(path()), options(path()));
    set_zone("UTC0");
    const auto view = make_view({.kind = kind}, output);
    BlockPool pool;
    const auto chunk = [&](const std::string& bytes) {
      view->on_event({MonoTime{1s}, ProxyId{}, SessionNumber{1},
                      event::ChunkRead{pool.copy(std::as_bytes(std::span(bytes))), 0, std::nullopt, {}}},
                     0s);
    };
    chunk("whole");
    EXPECT_TRUE(view->flush());
    limit(text(path()).size() + 200);
    chunk(std::string(100, 'T') + '\n' + std::string(100, 'T'));
    chunk("kept");
    EXPECT_TRUE(view->flush());
    ASSERT_TRUE(output.is_down());
    chunk("lost");
    limit(RLIM_INFINITY);
    std::filesystem::remove(path());
    EXPECT_TRUE(view->flush());
    const std::string printed = text(path());
    EXPECT_EQ(printed.find("TTTT"), std::string::npos);
    EXPECT_EQ(printed.find("54 54 54"), std::string::npos);
    EXPECT_THAT(printed,
                HasSubstr(kind == ViewKind::json ? R"("chunks":2,"bytes":205,"events":0,"error":"File too large"})"
                                                 : "gap: 2 chunks (205 bytes) not written: File too large"));
    EXPECT_EQ(output.status().lost_chunks, 2u);
    EXPECT_EQ(output.status().lost_bytes, 205u);
  }
}

TEST_F(TroubledFile, AViewThatHasAllItWantsStillTriesAtItsEnd) {
  std::filesystem::create_symlink("/dev/full", path());
  Output output(file(path()), options(path()));
  const auto view = make_view({.kind = ViewKind::text, .chunks = 1}, output);
  BlockPool pool;
  const std::string bytes = "the last one";
  view->on_event({MonoTime{1s}, ProxyId{}, SessionNumber{1},
                  event::ChunkRead{pool.copy(std::as_bytes(std::span(bytes))), 0, std::nullopt, {}}},
                 0s);
  EXPECT_FALSE(view->flush()) << "it is shown";
  EXPECT_TRUE(output.is_down());
  std::filesystem::remove(path());
  view->on_end();
  EXPECT_FALSE(output.is_down());
  EXPECT_THAT(text(path()), HasSubstr(bytes));
}

TEST_F(TroubledFile, TheLastTryIsAtOnce) {
  std::filesystem::create_symlink("/dev/full", path());
  auto how = options(path());
  how.retry_every = 1h;
  Output output(file(path()), how);
  const auto view = make_view({.kind = ViewKind::text}, output);
  view->on_event({MonoTime{2s}, ProxyId{}, SessionNumber{1}, event::HalfClosed{}}, 0s);
  EXPECT_TRUE(view->flush());
  std::filesystem::remove(path());
  EXPECT_TRUE(view->flush());
  EXPECT_TRUE(output.is_down()) << "it is not time yet";
  view->on_end();
  EXPECT_THAT(text(path()), HasSubstr("half-closed"));
}

TEST_F(TroubledFile, WithoutAPathOrWherePeopleWaitItEnds) {
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  Output output(full.get());
  output.append("x");
  EXPECT_FALSE(output.flush());
  EXPECT_EQ(output.error(), ENOSPC);
}

TEST_F(TroubledFile, AFileThatIsCutBeginsAnewWithoutAHole) {
  Output output(file(path()), options(path()));
  output.append("before\n");
  EXPECT_TRUE(output.flush());
  std::filesystem::resize_file(path(), 0);  // logrotate's copytruncate
  output.append("after\n");
  EXPECT_TRUE(output.flush());
  EXPECT_EQ(text(path()), "after\n");
}

TEST_F(TroubledFile, AMovedFileIsOpenedAgainBetweenTwoLines) {
  Output output(file(path()), options(path()));
  int woken = 0;
  output.set_wake([&] { ++woken; });
  output.append("old\n");
  std::filesystem::rename(path(), path("moved"));
  output.reopen();
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(output.due(), Nanos{0});
  EXPECT_TRUE(output.flush());
  output.append("new\n");
  EXPECT_TRUE(output.flush());
  EXPECT_EQ(text(path("moved")), "old\n");
  EXPECT_EQ(text(path()), "new\n");
  EXPECT_EQ(output.due(), std::nullopt);
}

TEST_F(TroubledFile, WhatCannotBeOpenedAgainIsWrittenToStill) {
  Output output(file(path()), options(path()));
  std::filesystem::rename(path(), path("moved"));
  std::filesystem::create_directory(path());
  output.reopen();
  output.append("kept\n");
  EXPECT_TRUE(output.flush());
  output.append("on\n");
  EXPECT_TRUE(output.flush());
  EXPECT_EQ(text(path("moved")), "kept\non\n");
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], HasSubstr("Is a directory"));
}

TEST_F(TroubledFile, ANewFileOfTextSaysTheDateAgain) {
  Output output(file(path()), options(path()));
  set_zone("UTC0");
  const auto view = make_view({.kind = ViewKind::text}, output);
  const auto half_closed = [&] {
    view->on_event({MonoTime{2s}, ProxyId{}, SessionNumber{1}, event::HalfClosed{}}, 0s);
    EXPECT_TRUE(view->flush());
  };
  half_closed();
  std::filesystem::rename(path(), path("moved"));
  output.reopen();
  EXPECT_TRUE(view->flush());
  half_closed();
  half_closed();
  EXPECT_TRUE(text(path()).starts_with("-- 1970-01-01 (UTC+00:00)\n"));
  EXPECT_EQ(text(path()).find("-- ", 1), std::string::npos);
}

TEST_F(TroubledFile, AFileThatIsLongEnoughGetsTheNextNumber) {
  std::ofstream(path() + ".7") << "of an earlier run";
  auto how = options(path());
  how.rotate_size = 12;
  Output output(file(path()), how);
  for (int i = 0; i < 5; ++i) {
    output.append("record\n");
    output.end_record({.events = 1});
  }
  EXPECT_TRUE(output.flush());
  EXPECT_EQ(text(path() + ".7"), "of an earlier run");
  EXPECT_EQ(text(path() + ".8"), "record\nrecord\n");
  EXPECT_EQ(text(path() + ".9"), "record\nrecord\n");
  EXPECT_EQ(text(path()), "record\n");
}

TEST_F(TroubledFile, ALineIsNeverInTwoFiles) {
  OutputOptions small = options(path());
  small.rotate_size = 4;
  Output output(file(path()), small);
  output.append("half of a line");
  EXPECT_TRUE(output.flush());
  EXPECT_FALSE(std::filesystem::exists(path() + ".1"));
  output.append(" and its end\n");
  EXPECT_TRUE(output.flush());
  EXPECT_EQ(text(path() + ".1"), "half of a line and its end\n");
}

TEST_F(TroubledFile, ARotationThatFailsIsToldAndTriedAgain) {
  std::filesystem::create_directory(path("here"));
  const std::string log = path("here") + "/log";
  auto how = options(log);
  how.rotate_size = 1;
  how.say_at_most = Nanos{0};  // at once
  std::vector<std::string> told;
  how.say = [&](LogLevel, const std::string& what) { told.push_back(what); };
  Output output(file(log), how);
  std::filesystem::rename(path("here"), path("away"));
  output.append("first\n");
  EXPECT_TRUE(output.flush());
  output.end_record({.events = 1});
  EXPECT_FALSE(output.is_down()) << "what was open is still written to";
  ASSERT_FALSE(told.empty());
  EXPECT_NE(told.front().find("it cannot be rotated: No such file or directory (ENOENT)"), std::string::npos);

  std::filesystem::rename(path("away"), path("here"));
  output.append("second\n");
  output.end_record({.events = 1});
  EXPECT_EQ(text(log + ".1"), "first\nsecond\n");
  EXPECT_EQ(text(log), "");
}

TEST_F(TroubledFile, AFailedRotationIsNotTriedAtEveryRecord) {
  std::filesystem::create_directory(path("here"));
  const std::string log = path("here") + "/log";
  auto how = options(log);
  how.rotate_size = 1;
  how.say_at_most = std::chrono::hours{1};
  int told = 0;
  how.say = [&](LogLevel, const std::string&) { ++told; };
  Output output(file(log), how);
  std::filesystem::rename(path("here"), path("away"));
  for (int i = 0; i < 3; ++i) {
    output.append("record\n");
    output.end_record({.events = 1});
    EXPECT_TRUE(output.flush());
  }
  EXPECT_EQ(told, 1);
  EXPECT_EQ(text(path("away") + "/log"), "record\nrecord\nrecord\n");
}

TEST_F(TroubledFile, AFileThatWasMovedAwayIsBegunAnewByTheRotation) {
  auto how = options(path());
  how.rotate_size = 1;
  Output output(file(path()), how);
  std::filesystem::rename(path(), path("moved"));
  output.append("first\n");
  output.end_record({.events = 1});
  output.append("second\n");
  output.end_record({.events = 1});
  EXPECT_EQ(text(path("moved")), "first\n");
  EXPECT_EQ(text(path() + ".1"), "second\n");
}

TEST_F(TroubledFile, AFileThatWasCutIsAsLongAsItIs) {
  auto how = options(path());
  how.rotate_size = 12;
  Output output(file(path()), how);
  for (int i = 0; i < 3; ++i) {
    output.append("record\n");
    EXPECT_TRUE(output.flush());
    std::filesystem::resize_file(path(), 0);
  }
  EXPECT_FALSE(std::filesystem::exists(path() + ".1"));
}

TEST_F(TroubledFile, AFileThatIsOldEnoughGetsTheNextNumberAlsoWhileNothingComes) {
  auto how = options(path());
  how.rotate_every = Nanos{1};
  Output output(file(path()), how);
  EXPECT_EQ(output.due(), std::nullopt) << "an empty file has no age";
  output.append("record\n");
  EXPECT_TRUE(output.flush());
  EXPECT_TRUE(output.flush());
  EXPECT_TRUE(output.flush());
  EXPECT_EQ(text(path() + ".1"), "record\n");
  EXPECT_EQ(text(path()), "");
  EXPECT_FALSE(std::filesystem::exists(path() + ".2"));
}

TEST_F(TroubledFile, WhatIsNoRegularFileIsNeverMoved) {
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  const Fd reader(::open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto how = options(path());
  how.rotate_size = 1;
  Output output(file(path()), how);
  output.append("record\n");
  EXPECT_TRUE(output.flush());
  EXPECT_FALSE(std::filesystem::exists(path() + ".1"));
}

TEST_F(TroubledFile, AFileThatEndsInTheMiddleOfALineGetsItsEnd) {
  std::ofstream(path()) << "{\"half";
  Output output(file(path()), options(path()));
  output.append("whole\n");
  EXPECT_TRUE(output.flush());
  EXPECT_EQ(text(path()), "{\"half\nwhole\n");

  auto raw = options(path("raw"));
  raw.lines = false;
  std::ofstream(path("raw")) << "half";
  Output bytes(file(path("raw")), raw);
  bytes.append("more");
  EXPECT_TRUE(bytes.flush());
  EXPECT_EQ(text(path("raw")), "halfmore");
}

}  // namespace
}  // namespace weir::view
