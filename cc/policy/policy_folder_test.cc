#include "cc/policy/policy_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cc/base/json.h"
#include "cc/policy/sha256.h"
#include "cc/schema/features.h"

namespace grappler_go {
namespace {

namespace fs = std::filesystem;

class PolicyFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_ + "/variables");
    Write("saved_model.pb", "model");
    Write("variables/variables.index", "index");
    Write("card.json", "{}");
    schema_ = {{"schema", "1.0"},
               {"name", "test-1.0"},
               {"inputs", {"op_type"}},
               {"outputs", {"fusion"}},
               {"op_features", {"log2_flops"}},
               {"device_features", Json::array()},
               {"vocabulary", {"Relu"}},
               {"files",
                {{"saved_model.pb", Sha256Hex("model")},
                 {"variables/variables.index", Sha256Hex("index")}}}};
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
  }
  StatusOr<PolicyFolder> Read() {
    Write("schema.json", JsonText(schema_));
    return ReadPolicyFolder(folder_);
  }
  void ExpectRefused(StatusCode code, const std::string& part) {
    StatusOr<PolicyFolder> folder = Read();
    ASSERT_FALSE(folder.ok());
    EXPECT_EQ(folder.status().code(), code);
    EXPECT_NE(folder.status().message().find(part), std::string::npos)
        << folder.status().message();
  }

  const std::string folder_ = testing::TempDir() + "policy_folder_test";
  Json schema_;
};

TEST_F(PolicyFolderTest, ReadsWhatSchemaJsonSays) {
  StatusOr<PolicyFolder> folder = Read();
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_EQ(folder->name, "test-1.0");
  EXPECT_EQ(folder->inputs, std::vector<std::string>{"op_type"});
  EXPECT_EQ(folder->outputs, std::vector<std::string>{"fusion"});
  EXPECT_EQ(folder->vocabulary, std::vector<std::string>{"Relu"});
}

TEST_F(PolicyFolderTest, AcceptsANewerMinorVersion) {
  schema_["schema"] = "1.7";
  EXPECT_TRUE(Read().ok());
}

TEST_F(PolicyFolderTest, TakesAPolicyOf10ForOneThatKnowsAllLinkFeatures) {
  StatusOr<PolicyFolder> folder = Read();
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_EQ(folder->link_features, LinkFeatureNames())
      << "so that nothing is copied for the sake of what it does not read";
  schema_["link_features"] = {"log2_latency_us"};
  folder = Read();
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_EQ(folder->link_features, std::vector<std::string>{"log2_latency_us"});
}

TEST_F(PolicyFolderTest, AcceptsEveryArrayOfTheSchema) {
  schema_["inputs"] = ArrayNames();
  StatusOr<PolicyFolder> folder = Read();
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  EXPECT_EQ(folder->inputs, ArrayNames());
}

TEST_F(PolicyFolderTest, RefusesAnotherMajorVersionBeforeAllElse) {
  schema_ = {{"schema", "2.0"}};
  ExpectRefused(StatusCode::kFailedPrecondition, "schema 2.0");
}

TEST_F(PolicyFolderTest, RefusesAFileThatDoesNotMatchItsChecksum) {
  Write("variables/variables.index", "tampered");
  ExpectRefused(StatusCode::kFailedPrecondition,
                "variables/variables.index does not match its checksum");
}

TEST_F(PolicyFolderTest, RefusesAFileThatIsNotListed) {
  Write("variables/variables.data", "extra");
  ExpectRefused(StatusCode::kFailedPrecondition, "variables/variables.data");
}

TEST_F(PolicyFolderTest, RefusesASecondFormOfTheModelEvenWhenListed) {
  Write("saved_model.cpb", "other");
  schema_["files"]["saved_model.cpb"] = Sha256Hex("other");
  ExpectRefused(StatusCode::kFailedPrecondition, "saved_model.cpb");
}

TEST_F(PolicyFolderTest, RefusesAPathOutOfTheFolder) {
  schema_["files"]["variables/../../x"] = Sha256Hex("");
  ExpectRefused(StatusCode::kFailedPrecondition, "variables/../../x");
}

TEST_F(PolicyFolderTest, NamesAMissingFileAndAMissingField) {
  fs::remove(folder_ + "/variables/variables.index");
  ExpectRefused(StatusCode::kNotFound, "variables/variables.index");
  schema_.erase("inputs");
  ExpectRefused(StatusCode::kInvalidArgument, "inputs");
}

TEST_F(PolicyFolderTest, RefusesAnUncheckedModelAndUnknownArrays) {
  schema_["files"].erase("saved_model.pb");
  ExpectRefused(StatusCode::kInvalidArgument, "saved_model.pb");
  schema_["outputs"] = {"colour"};
  ExpectRefused(StatusCode::kInvalidArgument, "'colour'");
}

TEST_F(PolicyFolderTest, RefusesWhatIsNotJsonAndAFolderThatIsNotThere) {
  Write("schema.json", "{");
  EXPECT_EQ(ReadPolicyFolder(folder_).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadPolicyFolder("/nowhere").status().code(),
            StatusCode::kNotFound);
}

}  // namespace
}  // namespace grappler_go
