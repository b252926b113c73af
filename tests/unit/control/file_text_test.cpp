// Files that an operator names, whatever stands behind the name.
#include "control/file_text.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "base/fd.h"

namespace weir::control {
namespace {

class FileText : public testing::Test {
 protected:
  FileText() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-file-text-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~FileText() override { std::filesystem::remove_all(folder_); }
  auto pipe() const -> std::string {
    const auto path = (folder_ / "pipe").string();
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    return path;
  }
  std::filesystem::path folder_;
};

TEST_F(FileText, AFileIsReadAsItIs) {
  const auto path = (folder_ / "file").string();
  std::ofstream(path) << "a = 1\n";
  EXPECT_EQ(read_text(path).value(), "a = 1\n");
  std::ofstream(path) << "";
  EXPECT_EQ(read_text(path).value(), "");
}

TEST_F(FileText, AWriterThatNeverEndsIsWaitedForForASecondInAll) {
  const auto path = pipe();
  const Fd writer(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(writer);
  std::atomic<bool> enough{false};
  std::thread slow([&] {
    while (!enough.load()) {
      EXPECT_EQ(::write(writer.get(), "#", 1), 1);
      std::this_thread::sleep_for(std::chrono::milliseconds{5});  // it is slow by nature: nothing waits for it
    }
  });
  const MonoTime began = SystemClock::instance().mono();
  const auto text = read_text(path);
  const Nanos took = SystemClock::instance().mono() - began;
  enough = true;
  slow.join();
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().message, path + ": its end did not come within 1 s: write it faster, or name a regular file");
  EXPECT_GE(took, std::chrono::seconds{1});
}

TEST_F(FileText, WhatHasNoEndIsTooLarge) {
  const auto text = read_text("/dev/zero");
  ASSERT_FALSE(text);
  EXPECT_TRUE(text.error().message.starts_with("/dev/zero: it")) << text.error().message;
}

}  // namespace
}  // namespace weir::control
