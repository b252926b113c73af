#include "http/static_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "net/places.h"

namespace weir::http {
namespace {

class StaticFilesTest : public testing::Test {
 protected:
  StaticFilesTest() {
    std::filesystem::create_directories(folder_.path("ui/sub"));
    folder_.write("secret", "not for you");
    folder_.write("ui/index.html", "<p>hello");
    folder_.write("ui/app.js", "go()");
    folder_.write("ui/sub/a b.txt", "spaced");
    folder_.write("ui/.hidden", "hidden");
    std::filesystem::create_symlink(folder_.path("secret"), folder_.path("ui/link"));
    std::filesystem::create_directory_symlink("..", folder_.path("ui/up"));
    files_ = std::make_unique<StaticFiles>(*StaticFiles::open(folder_.path("ui")));
  }
  [[nodiscard]] auto get(std::string_view path, const Request& request = Request{.method = "GET"}) const -> Response {
    return files_->answer(request, path);
  }
  static auto header(const Response& response, std::string_view name) -> std::string {
    const auto found = std::ranges::find(response.headers, name, &std::pair<std::string, std::string>::first);
    return found == response.headers.end() ? "" : found->second;
  }
  net::test::Folder folder_;
  std::unique_ptr<StaticFiles> files_;
};

TEST_F(StaticFilesTest, FilesComeWithTheirType) {
  const auto js = get("/app.js");
  EXPECT_EQ(js.status, 200);
  EXPECT_EQ(js.body, "go()");
  EXPECT_EQ(header(js, "Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(get("sub/a%20b.txt").body, "spaced");
}

TEST_F(StaticFilesTest, AFolderIsItsIndexAndIsNeverListed) {
  EXPECT_EQ(get("").body, "<p>hello");
  EXPECT_EQ(header(get("/"), "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(get("/sub/").status, 404);
  EXPECT_EQ(get("/sub").status, 404);
}

TEST_F(StaticFilesTest, NoPathLeavesTheFolder) {
  for (const std::string_view path :
       {"/../secret", "/sub/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fsecret", "/link", "/up/secret",
        "//etc/passwd", "/app.js%00.html", "/.hidden", "/./app.js", "/sub//a%20b.txt", "/app.js/", "/app.js/x"}) {
    const auto response = get(path);
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_EQ(response.body, "there is no such file\n") << path;
  }
}

TEST_F(StaticFilesTest, AFileThatTheClientHasIsNotSentAgain) {
  const std::string tag = header(get("/app.js"), "ETag");
  ASSERT_FALSE(tag.empty());
  const auto again = get("/app.js", Request{.method = "GET", .headers = {{"if-none-match", "\"other\", W/" + tag}}});
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
  EXPECT_EQ(header(again, "ETag"), tag);
  folder_.write("ui/app.js", "go on()");
  const auto changed = get("/app.js", Request{.method = "GET", .headers = {{"if-none-match", tag}}});
  EXPECT_EQ(changed.status, 200);
  EXPECT_EQ(changed.body, "go on()");
  EXPECT_NE(header(changed, "ETag"), tag);
}

TEST_F(StaticFilesTest, OnlyGetAndHeadAreTaken) {
  EXPECT_EQ(get("/app.js", Request{.method = "HEAD"}).body, "go()")
      << "the connection leaves it out, and says its length";
  const auto refused = get("/app.js", Request{.method = "POST"});
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(header(refused, "Allow"), "GET, HEAD");
}

TEST_F(StaticFilesTest, WhatIsNoFileOrTooLongIsNotRead) {
  ASSERT_EQ(::mkfifo(folder_.path("ui/fifo").c_str(), 0600), 0);
  EXPECT_EQ(get("/fifo").status, 404) << "and nobody waited for its writer";
  folder_.write("ui/huge", "x");
  ASSERT_EQ(::truncate(folder_.path("ui/huge").c_str(), StaticFiles::most_bytes + 1), 0);
  EXPECT_EQ(get("/huge").status, 500);
  ASSERT_EQ(::truncate(folder_.path("ui/huge").c_str(), 0), 0);
  EXPECT_EQ(get("/huge").status, 200);
}

TEST_F(StaticFilesTest, AFolderThatIsNotThereIsAnError) {
  const auto missing = StaticFiles::open(folder_.path("nowhere"));
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("nowhere: No such file or directory"), std::string::npos);
}

}  // namespace
}  // namespace weir::http
