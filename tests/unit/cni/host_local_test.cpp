// Ranges and their walk, the lease table, and the store on a folder of its own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "cni/host_local/config.h"
#include "cni/host_local/lease_table.h"
#include "cni/host_local/plugin.h"
#include "cni/host_local/resolv_conf.h"
#include "cni/host_local/store.h"

namespace weir::cni::host_local {
namespace {

auto ip(std::string_view text) -> Ip { return *Ip::parse(text); }

auto set_of(std::vector<RangeWish> wishes) -> RangeSet { return *RangeSet::make(wishes); }
auto range(std::string_view subnet, std::string_view start = {}, std::string_view end = {}) -> RangeWish {
  return {.subnet = Prefix::parse(subnet),
          .subnet_is_mapped = false,
          .start = Ip::parse(start),
          .end = Ip::parse(end),
          .gateway = {}};
}

auto walked(const RangeSet& set, std::optional<Ip> last) -> std::string {
  Walk walk(set, last);
  std::string out;
  while (const auto place = walk.next()) out += place->ip.to_string() + " ";
  return out;
}

TEST(Range_, HasTheReferencesDefaultsAndMessages) {
  const auto plain = make_range(range("10.1.0.0/24"));
  EXPECT_EQ(plain->to_string(), "10.1.0.1-10.1.0.254");
  EXPECT_EQ(plain->gateway, ip("10.1.0.1"));
  EXPECT_EQ(make_range(range("fd00::/64"))->to_string(), "fd00::1-fd00::ffff:ffff:ffff:ffff");
  EXPECT_EQ(make_range(range("10.1.0.0/31")).error().msg, "Network 10.1.0.0/31 too small to allocate from");
  EXPECT_EQ(make_range(range("10.1.0.5/24")).error().msg,
            "Network has host bits set. For a subnet mask of length 24 the network address is 10.1.0.0");
  EXPECT_EQ(make_range(range("10.1.0.0/24", "10.2.0.1")).error().msg, "RangeStart 10.2.0.1 not in network 10.1.0.0/24");
  EXPECT_EQ(make_range(range("10.1.0.0/24", "10.1.0.9", "10.1.0.5")).error().msg,
            "RangeStart 10.1.0.9 not in network 10.1.0.0/24");
  EXPECT_EQ(make_range(range("10.1.0.0/24", "", "10.2.0.1")).error().msg,
            "RangeEnd 10.2.0.1 not in network 10.1.0.0/24");
}

TEST(Walk_, GoesAroundWithoutGatewaysAndEndsAtTheLast) {
  const auto set = set_of({range("10.1.0.0/29", "10.1.0.1", "10.1.0.4")});
  EXPECT_EQ(walked(set, {}), "10.1.0.2 10.1.0.3 10.1.0.4 ");
  EXPECT_EQ(walked(set, ip("10.1.0.3")), "10.1.0.4 10.1.0.2 10.1.0.3 ");
  EXPECT_EQ(walked(set, ip("10.1.0.4")), "10.1.0.2 10.1.0.3 10.1.0.4 ");
  EXPECT_EQ(walked(set, ip("10.9.0.1")), "10.1.0.2 10.1.0.3 10.1.0.4 ");
  const auto two = set_of({range("10.1.0.0/24", "10.1.0.5", "10.1.0.6"), range("10.2.0.0/24", "10.2.0.8", "10.2.0.9")});
  EXPECT_EQ(walked(two, ip("10.2.0.8")), "10.2.0.9 10.1.0.5 10.1.0.6 10.2.0.8 ");
}

TEST(RangeSet_, CountsWithoutEnumerating) {
  EXPECT_EQ(set_of({range("10.1.0.0/24")}).size(), 253U);
  EXPECT_EQ(set_of({range("10.1.0.0/24", "10.1.0.5", "10.1.0.6")}).size(), 2U);
  EXPECT_EQ(set_of({range("fd00::/64")}).size(), UINT64_MAX - 1);
  EXPECT_EQ(set_of({range("fd00::/48")}).size(), UINT64_MAX);
}

TEST(LeaseTable_, FindsAndForgetsThroughGrowth) {
  LeaseTable table;
  Ip each = ip("10.1.0.0");
  for (int i = 0; i < 5000; ++i, each = each.next()) table.add(each, "owner" + std::to_string(i));
  EXPECT_EQ(table.all().size(), 5000U);
  EXPECT_EQ(table.candidates("owner300"), std::vector{ip("10.1.1.44")});
  table.remove(ip("10.1.1.44"), "owner300");
  EXPECT_FALSE(table.is_leased(ip("10.1.1.44")));
  EXPECT_TRUE(table.is_leased(ip("10.1.1.45")));
  EXPECT_TRUE(table.candidates("owner300").empty());
  table.add(ip("fd00::5"), "six");
  EXPECT_EQ(table.candidates("six"), std::vector{ip("fd00::5")});
  EXPECT_EQ(table.all().size(), 5000U);
}

class StoreFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "weir-store-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    root_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  [[nodiscard]] auto open() const -> Store { return *Store::open({.data_dir = root_, .network = "net1"}); }
  [[nodiscard]] auto file(const std::string& name) const -> std::string { return root_ + "/net1/" + name; }
  [[nodiscard]] auto content(const std::string& name) const -> std::string {
    std::ifstream in(file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  auto write(const std::string& name, const std::string& text) const -> void {
    std::ofstream(file(name), std::ios::binary) << text;
  }

  std::string root_;
};

TEST_F(StoreFolder, IsByteForByteTheReferences) {
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c1", "eth0"}, 0), true);
  EXPECT_EQ(content("10.1.0.2"), "c1\r\neth0");
  EXPECT_EQ(content("last_reserved_ip.0"), "10.1.0.2");
  EXPECT_EQ(content("lock"), "");
  struct stat about {};
  ASSERT_EQ(::stat(file("10.1.0.2").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c2", "eth0"}, 0), false);
}

TEST_F(StoreFolder, SeesWhatAnotherPluginDidMeanwhile) {
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c1", "eth0"}, 0), true);
  write("10.1.0.3", "c2\r\neth0");
  EXPECT_EQ(open().reserve(ip("10.1.0.3"), {"c3", "eth0"}, 0), false);
  EXPECT_EQ(open().leases_of({"c2", "eth0"}), std::vector{ip("10.1.0.3")});
  std::filesystem::remove(file("10.1.0.2"));
  EXPECT_TRUE(open().leases_of({"c1", "eth0"}).empty());
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c4", "eth0"}, 0), true);
}

// As a backup's restore, or a copy that keeps times, leaves a folder.
TEST_F(StoreFolder, SeesAChangeAfterWhichTheFoldersTimeWasPutBack) {
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c1", "eth0"}, 0), true);
  struct stat before {};
  ASSERT_EQ(::stat(file("").c_str(), &before), 0);
  // Change times may be as coarse as this clock.
  struct timespec now {};
  do {
    ASSERT_EQ(::clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
  } while (now.tv_sec == before.st_ctim.tv_sec && now.tv_nsec <= before.st_ctim.tv_nsec);
  std::filesystem::rename(file("10.1.0.2"), file("10.1.0.3"));
  const std::array<timespec, 2> times{before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, file("").c_str(), times.data(), 0), 0);
  EXPECT_EQ(open().leases_of({"c1", "eth0"}), std::vector{ip("10.1.0.3")});
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c2", "eth0"}, 0), true);
}

TEST_F(StoreFolder, ADamagedTableIsBuiltAgain) {
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c1", "eth0"}, 0), true);
  std::ofstream(root_ + "/.weir/net1", std::ios::binary) << std::string(3168, 'x');
  EXPECT_EQ(open().leases_of({"c1", "eth0"}), std::vector{ip("10.1.0.2")});
  std::filesystem::resize_file(root_ + "/.weir/net1", 7);
  EXPECT_EQ(open().leases_of({"c1", "eth0"}), std::vector{ip("10.1.0.2")});
  std::filesystem::remove_all(root_ + "/.weir");
  write("../.weir", "in the way");
  EXPECT_EQ(open().leases_of({"c1", "eth0"}), std::vector{ip("10.1.0.2")});
}

TEST_F(StoreFolder, AnEmptyFileIsFreeAndAnOldLeaseIsAnyInterfaces) {
  (void)open();
  write("10.1.0.2", "");
  write("10.1.0.3", "c1");
  write("10.1.0.4", "c1\n");
  auto store = open();
  EXPECT_EQ(store.leases_of({"c1", "eth5"}).size(), 2U);
  EXPECT_EQ(store.reserve(ip("10.1.0.2"), {"c2", "eth0"}, 0), true);
  EXPECT_TRUE(store.release({"c1", "eth5"}));
  EXPECT_EQ(store.all(), std::vector{ip("10.1.0.2")});
}

// Writing over a file leaves the folder's time as it was, so that the table seems to hold.
TEST_F(StoreFolder, FindsALeaseThatWasWrittenOverInPlace) {
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c1", "eth0"}, 0), true);
  write("10.1.0.2", "c2");
  EXPECT_FALSE(open().has_lease({"c1", "eth0"}));
  EXPECT_TRUE(open().has_lease({"c2", "eth0"}));
  write("10.1.0.2", "c3\r\neth0");
  EXPECT_TRUE(open().release({"c2", "eth0"}));
  EXPECT_TRUE(std::filesystem::exists(file("10.1.0.2")));
  EXPECT_TRUE(open().release({"c3", "eth0"}));
  EXPECT_FALSE(std::filesystem::exists(file("10.1.0.2")));
}

TEST_F(StoreFolder, NamesLeasesInTheOrderOfTheirFiles) {
  (void)open();
  for (const auto* name : {"10.1.0.9", "10.1.0.10", "10.1.0.2", "10.1.0.100", "10.1.0.30"}) write(name, "c1\r\neth0");
  write("10.1.0.20", "c1");
  EXPECT_EQ(open().leases_of({"c1", "eth0"}), (std::vector{ip("10.1.0.10"), ip("10.1.0.100"), ip("10.1.0.2"),
                                                           ip("10.1.0.20"), ip("10.1.0.30"), ip("10.1.0.9")}));
}

TEST_F(StoreFolder, CollectsWhatIsNotValidAndNothingElse) {
  {
    auto store = open();
    for (const auto* each : {"10.1.0.2", "10.1.0.3", "10.1.0.4"}) {
      EXPECT_EQ(store.reserve(ip(each), {std::string("c") + each[7], "eth0"}, 0), true);
    }
  }
  write("10.1.0.5", "");
  write("10.1.0.6", "c3");
  write("stranger", "c9\r\neth0");
  EXPECT_TRUE(open().release_all_but({{"c3", "eth0"}}));
  EXPECT_FALSE(std::filesystem::exists(file("10.1.0.2")));
  EXPECT_TRUE(std::filesystem::exists(file("10.1.0.3")));
  EXPECT_FALSE(std::filesystem::exists(file("10.1.0.4")));
  EXPECT_FALSE(std::filesystem::exists(file("10.1.0.5")));
  EXPECT_TRUE(std::filesystem::exists(file("10.1.0.6")));
  EXPECT_TRUE(std::filesystem::exists(file("stranger")));
}

auto error_of(const Result<void>& result) -> std::string { return result ? "" : result.error().msg; }

TEST_F(StoreFolder, SaysWhichLeaseItCannotRead) {
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c1", "eth0"}, 0), true);
  std::filesystem::remove(file("10.1.0.2"));
  std::filesystem::create_symlink("/etc/hostname", file("10.1.0.2"));  // nobody's
  std::filesystem::create_directory(file("10.1.0.3"));
  write("10.1.0.4", "c1\r\neth0");
  EXPECT_EQ(error_of(open().release({"c1", "eth0"})), "");
  EXPECT_FALSE(std::filesystem::exists(file("10.1.0.4")));
  EXPECT_TRUE(std::filesystem::is_symlink(file("10.1.0.2")));
  EXPECT_EQ(error_of(open().release({"c1", "eth0"})), "");  // gone already
}

TEST_F(StoreFolder, FollowsNoLinkInPlaceOfItsOwnFiles) {
  EXPECT_EQ(open().reserve(ip("10.1.0.2"), {"c1", "eth0"}, 0), true);
  write("../secret", "kept");
  std::filesystem::create_symlink(root_ + "/secret", file("last_reserved_ip.1"));
  EXPECT_EQ(open().last_reserved(1), std::nullopt);
  const auto refused = open().reserve(ip("10.1.0.3"), {"c1", "eth0"}, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().msg,
            "write " + file("last_reserved_ip.1") + ": it is a symbolic link, and is not followed: delete it");
  EXPECT_FALSE(std::filesystem::exists(file("10.1.0.3")));
  EXPECT_EQ(content("../secret"), "kept");
  std::filesystem::remove(file("lock"));
  ASSERT_EQ(::mkfifo(file("lock").c_str(), 0600), 0);
  const auto opened = Store::open({.data_dir = root_, .network = "net1"});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().msg, "open " + file("lock") + ": it is no regular file: delete it");
}

TEST_F(StoreFolder, IsNotOpenToOthers) {
  (void)open();
  ASSERT_EQ(::chmod(file("").c_str(), 0770), 0);
  const auto opened = Store::open_existing({.data_dir = root_, .network = "net1"});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().msg.find("may be written to by others than its owner (mode 0770)"), std::string::npos)
      << opened.error().msg;
}

TEST(RangeSet_, FindsTheRangeOfAnAddressAmongMany) {
  std::vector<RangeWish> wishes;
  for (int i = 3000; i-- > 0;) {  // in no order of theirs
    wishes.push_back(range("10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".0/30"));
  }
  const auto set = set_of(wishes);
  EXPECT_EQ(set.range_for(ip("10.1.7.2")), &set.ranges()[3000 - 1 - (256 + 7)]);
  EXPECT_EQ(set.range_for(ip("10.1.7.3")), nullptr);
  EXPECT_EQ(set.range_for(ip("9.255.255.255")), nullptr);
  EXPECT_EQ(set.range_for(ip("fd00::1")), nullptr);
  wishes.push_back(range("10.1.7.0/24", "10.1.7.2", "10.1.7.9"));
  EXPECT_EQ(RangeSet::make(wishes).error().msg, "subnets 10.1.7.1-10.1.7.2 and 10.1.7.2-10.1.7.9 overlap");
}

TEST(RangeSet_, NamesTheFirstOverlapInTheReferencesOrder) {
  const std::vector<RangeWish> wishes{range("10.9.0.0/24"), range("10.1.0.0/24"), range("10.1.0.0/25"),
                                      range("10.9.0.0/25")};
  EXPECT_EQ(RangeSet::make(wishes).error().msg, "subnets 10.9.0.1-10.9.0.254 and 10.9.0.1-10.9.0.126 overlap");
}

TEST(ResolvConf, HasToBeARegularFileOfSomeSize) {
  std::string path = testing::TempDir() + "weir-resolv-XXXXXX";
  ASSERT_NE(::mkdtemp(path.data()), nullptr);
  const auto fifo = path + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(read_resolv_conf(fifo).error().msg, "open " + fifo + ": resolvConf has to name a regular file");
  const auto large = path + "/large";
  std::ofstream(large) << std::string((1U << 20U) + 1, '#');
  EXPECT_EQ(read_resolv_conf(large).error().msg, "read " + large + ": resolvConf is larger than 1 MiB");
  std::filesystem::remove_all(path);
}

TEST(ResolvConf, KeepsItsFourKindsOfLines) {
  const auto dns =
      parse_resolv_conf("# x\nnameserver 1.1.1.1\n;y\nsearch a b\noptions ndots:2\ndomain d\nfoo bar\nnameserver\n");
  EXPECT_EQ(dns.nameservers, std::vector<std::string>{"1.1.1.1"});
  EXPECT_EQ(dns.search, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(dns.options, std::vector<std::string>{"ndots:2"});
  EXPECT_EQ(dns.domain, "d");
}

}  // namespace
}  // namespace weir::cni::host_local
