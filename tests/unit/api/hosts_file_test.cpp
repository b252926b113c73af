#include "api/hosts_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace weir::api {
namespace {

struct HostsFile : testing::Test {
  HostsFile() {
    std::ofstream(path) << "127.0.0.1 localhost # proxy\n"
                           "\n"
                           "# 10.0.0.9 commented\n"
                           "::1\tlocalhost six\n"
                           "fd00::2 box\n"
                           "10.0.0.2   box box.example alias\n"
                           "nonsense odd\n"
                           "10.0.0.3 odd";
  }
  ~HostsFile() override { std::filesystem::remove(path); }
  HostsFile(const HostsFile&) = delete;
  auto operator=(const HostsFile&) -> HostsFile& = delete;
  [[nodiscard]] auto find(std::string_view name) const -> std::string {
    const auto found = find_in_hosts(name, 80, path);
    return found ? found->to_string() : "none";
  }
  std::string path = (std::filesystem::temp_directory_path() / ("weir-hosts-" + std::to_string(::getpid()))).string();
};

TEST_F(HostsFile, KnowsItsNames) {
  EXPECT_EQ(find("alias"), "10.0.0.2:80");
  EXPECT_EQ(find("BOX.example"), "10.0.0.2:80") << "names have no case";
  EXPECT_EQ(find("box"), "10.0.0.2:80") << "IPv4 first, as toxiproxy's clients split at the first colon";
  EXPECT_EQ(find("six"), "[::1]:80");
  EXPECT_EQ(find("odd"), "10.0.0.3:80") << "a line that is none is passed over";
}

TEST_F(HostsFile, AndNoOther) {
  for (const char* name : {"proxy", "commented", "10.0.0.2", "bo", "", "#"}) EXPECT_EQ(find(name), "none") << name;
  EXPECT_FALSE(find_in_hosts("box", 80, path + ".missing"));
}

}  // namespace
}  // namespace weir::api
