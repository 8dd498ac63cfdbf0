#include "cc/plugin/capture.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cc/base/json.h"
#include "cc/testing/at_once.h"

namespace grappler_go {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class RecordTest : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  const std::string folder_ = testing::TempDir() + "record_test";
  const Fingerprint fingerprint_{1, 2};
};

TEST(Capture, HandsOutWhatCameInOnce) {
  TakeCaptured();
  AddCaptured({"bytes", {"fetch"}, {"kept"}});
  const std::vector<CapturedGraph> graphs = TakeCaptured();
  ASSERT_EQ(graphs.size(), 1u);
  EXPECT_EQ(graphs[0].graphdef, "bytes");
  EXPECT_TRUE(TakeCaptured().empty());
}

TEST(Capture, TakesGraphsFromThreadsAtOnce) {
  TakeCaptured();
  AtOnce([](int) { AddCaptured({"bytes", {"fetch"}, {"kept"}}); });
  EXPECT_EQ(TakeCaptured().size(), static_cast<size_t>(kCallsAtOnce));
}

TEST_F(RecordTest, WritesTheGraphAndItsDescriptionAndNothingElse) {
  ASSERT_TRUE(
      RecordGraph(folder_, fingerprint_, "graph", {"f"}, {"p"}, 7).ok());
  const fs::path stem = fs::path(folder_) / fingerprint_.ToString();
  EXPECT_EQ(ReadFile(stem.string() + ".pb"), "graph");
  EXPECT_EQ(JsonText(ParseJson(ReadFile(stem.string() + ".json"))),
            R"({"fetches":["f"],"num_nodes":7,"preserve":["p"]})");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2)
      << "a temporary file was left behind";
}

TEST_F(RecordTest, WritesAGraphOnce) {
  ASSERT_TRUE(RecordGraph(folder_, fingerprint_, "first", {}, {}, 1).ok());
  ASSERT_TRUE(RecordGraph(folder_, fingerprint_, "second", {}, {}, 1).ok());
  EXPECT_EQ(ReadFile(fs::path(folder_) / (fingerprint_.ToString() + ".pb")),
            "first");
}

TEST_F(RecordTest, NamesAFolderThatCannotBeMade) {
  const Status status =
      RecordGraph("/proc/no/such", fingerprint_, "graph", {}, {}, 1);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("cannot write /proc/no/such:"),
            std::string::npos)
      << status.message();
}

TEST_F(RecordTest, NamesAFolderThatCannotBeWritten) {
  // Not even root can make a file there.
  const Status status =
      RecordGraph("/proc/self", fingerprint_, "graph", {}, {}, 1);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("cannot write /proc/self/"),
            std::string::npos)
      << status.message();
}

TEST_F(RecordTest, AFullDiskLeavesNoHalfFile) {
  // A limit on the size of files stands in for the full disk.
  fs::create_directory(folder_);
  rlimit limit, old;
  getrlimit(RLIMIT_FSIZE, &old);
  limit = old;
  limit.rlim_cur = 4;
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &limit);
  const Status status =
      RecordGraph(folder_, fingerprint_, "more than four bytes", {}, {}, 1);
  setrlimit(RLIMIT_FSIZE, &old);
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace grappler_go
