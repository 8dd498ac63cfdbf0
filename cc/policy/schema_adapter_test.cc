#include "cc/policy/schema_adapter.h"

#include <gtest/gtest.h>

namespace grappler_go {
namespace {

// Features of two ops and one device in which every value tells its column.
Features MakeFeatures() {
  Features features;
  features.num_ops = 2;
  features.num_devices = 1;
  features.op_type = {1, 2};
  for (int op = 0; op < 2; ++op) {
    for (size_t column = 0; column < OpFeatureNames().size(); ++column) {
      features.op_features.push_back(static_cast<float>(100 * op + column));
    }
  }
  for (size_t column = 0; column < DeviceFeatureNames().size(); ++column) {
    features.device_features.push_back(static_cast<float>(column));
  }
  for (size_t column = 0; column < LinkFeatureNames().size(); ++column) {
    features.link_features.push_back(static_cast<float>(column));
  }
  return features;
}

TEST(SchemaAdapter, ChangesNothingForAModelOfThisSchema) {
  StatusOr<SchemaAdapter> adapter =
      SchemaAdapter::Create(OpFeatureNames(), DeviceFeatureNames(),
                            LinkFeatureNames(), OpVocabulary());
  ASSERT_TRUE(adapter.ok()) << adapter.status().message();
  EXPECT_TRUE(adapter->identity());
  EXPECT_EQ(adapter->Adapt(MakeFeatures()).op_features,
            MakeFeatures().op_features);
}

TEST(SchemaAdapter, GivesAModelItsOwnColumnsInItsOwnOrder) {
  StatusOr<SchemaAdapter> adapter = SchemaAdapter::Create(
      {OpFeatureNames()[3], OpFeatureNames()[1]}, {DeviceFeatureNames()[1]},
      {LinkFeatureNames()[1]}, OpVocabulary());
  ASSERT_TRUE(adapter.ok()) << adapter.status().message();
  EXPECT_FALSE(adapter->identity());
  const Features features = adapter->Adapt(MakeFeatures());
  EXPECT_EQ(features.op_features, (std::vector<float>{3, 1, 103, 101}));
  EXPECT_EQ(features.device_features, std::vector<float>{1});
  EXPECT_EQ(features.link_features, std::vector<float>{1});
  EXPECT_EQ(FindArray(features, "op_features").shape,
            (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(FindArray(features, "link_features").shape,
            (std::vector<int64_t>{1, 1, 1}));
}

TEST(SchemaAdapter, NumbersOpsByTheModelsVocabulary) {
  const std::vector<std::string>& ours = OpVocabulary();
  StatusOr<SchemaAdapter> adapter =
      SchemaAdapter::Create(OpFeatureNames(), DeviceFeatureNames(),
                            LinkFeatureNames(), {ours[0], "NotOurs", ours[2]});
  ASSERT_TRUE(adapter.ok()) << adapter.status().message();
  EXPECT_EQ(adapter->Adapt(MakeFeatures()).op_type,
            (std::vector<int32_t>{0, 2}))
      << "an op that the model does not know is any other op";
}

TEST(SchemaAdapter, RefusesAModelThatWantsWhatThisBuildLacks) {
  StatusOr<SchemaAdapter> adapter = SchemaAdapter::Create(
      {"horoscope"}, DeviceFeatureNames(), LinkFeatureNames(), OpVocabulary());
  ASSERT_FALSE(adapter.ok());
  EXPECT_EQ(adapter.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(adapter.status().message().find("'horoscope'"), std::string::npos);
}

}  // namespace
}  // namespace grappler_go
