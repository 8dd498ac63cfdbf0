#include "cc/graph/name_index.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace grappler_go {
namespace {

TEST(NameIndex, FindsEveryNameAndNoOther) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("op_" + std::to_string(i));
  const auto at = [&names](int32_t i) { return std::string_view(names[i]); };
  NameIndex index(names.size());
  for (int32_t i = 0; i < 1000; ++i)
    ASSERT_TRUE(index.Insert(NameKey(names[i]), i, at));
  for (int32_t i = 0; i < 1000; ++i)
    ASSERT_EQ(index.Find(NameKey(names[i]), at), i);
  EXPECT_EQ(index.Find(NameKey("op_1000"), at), -1);
  EXPECT_EQ(index.Find(NameKey(""), at), -1);
}

TEST(NameIndex, RefusesASecondOfTheSameName) {
  const std::vector<std::string_view> names = {"a", "a"};
  const auto at = [&names](int32_t i) { return names[i]; };
  NameIndex index(2);
  EXPECT_TRUE(index.Insert(NameKey("a"), 0, at));
  EXPECT_FALSE(index.Insert(NameKey("a"), 1, at));
  EXPECT_EQ(index.Find(NameKey("a"), at), 0);
}

TEST(NameIndex, FindsNothingWhenEmpty) {
  const NameIndex index;
  EXPECT_EQ(
      index.Find(NameKey("a"), [](int32_t) { return std::string_view(); }), -1);
}

}  // namespace
}  // namespace grappler_go
