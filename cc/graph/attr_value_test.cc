#include "cc/graph/attr_value.h"

#include <string>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

std::vector<int64_t> Elements(const IntValues& values) {
  return {values.span().begin(), values.span().end()};
}

TEST(AttrValue, ReadsWhatTheWriterWrote) {
  EXPECT_EQ(AttrInt(IntAttrValue(-7), 1), -7);
  EXPECT_TRUE(AttrBool(BoolAttrValue(true)));
  EXPECT_FALSE(AttrBool(BoolAttrValue(false)));
  EXPECT_EQ(AttrType(TypeAttrValue(kInt64), 0), kInt64);
  EXPECT_EQ(AttrString(StringAttrValue("SAME")), "SAME");
  EXPECT_EQ(AttrShape(ShapeAttr({2, -1})).ToString(), "[2,?]");
  EXPECT_EQ(Elements(AttrInts(IntListAttr({1, -2, 3}))),
            (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(AttrTypes(TypeListAttr({kFloat, kBool})),
            (std::vector<int>{kFloat, kBool}));
  const auto shapes = AttrShapes(ShapeListAttr({{4}, {}}));
  ASSERT_EQ(shapes.size(), 2u);
  EXPECT_EQ(shapes[0].ToString(), "[4]");
  EXPECT_EQ(shapes[1].ToString(), "[]");
}

TEST(AttrValue, AnEmptyOrOtherwiseTypedValueReadsAsTheDefault) {
  const std::string other = StringAttrValue("x");
  for (const std::string& value : {std::string(), other}) {
    EXPECT_EQ(AttrInt(value, 5), 5);
    EXPECT_FALSE(AttrBool(value));
    EXPECT_EQ(AttrType(value, 9), 9);
    EXPECT_FALSE(AttrShape(value).known_rank());
    EXPECT_EQ(AttrInts(value).size(), 0);
    EXPECT_TRUE(AttrShapes(value).empty());
  }
  EXPECT_EQ(AttrString(IntAttrValue(3)), "");
}

TEST(AttrValue, ReadsListsThatAreNotPacked) {
  std::string list, value;
  AppendVarintField(3, 4, &list);
  AppendVarintField(3, 5, &list);
  AppendBytesField(1, list, &value);
  EXPECT_EQ(Elements(AttrInts(value)), (std::vector<int64_t>{4, 5}));
}

TEST(AttrValue, AListThatIsTooLongIsNotKnown) {
  const std::vector<int64_t> fits(kMaxValues, 1);
  EXPECT_TRUE(AttrInts(IntListAttr(fits)).known());
  const std::vector<int64_t> too_long(kMaxValues + 1, 1);
  EXPECT_FALSE(AttrInts(IntListAttr(too_long)).known());
}

TEST(ParseShape, TellsAScalarFromAnUnknownRank) {
  std::string unknown;
  AppendVarintField(3, 1, &unknown);
  EXPECT_EQ(ParseShape("").ToString(), "[]");
  EXPECT_EQ(ParseShape(unknown).ToString(), "?");
  EXPECT_EQ(ParseShape("\x12").ToString(), "?");
}

TEST(ParseTensor, ReadsContentsAndRepeatedValues) {
  const std::string content = IntTensorAttr({2, 2}, {1, -2, 3, 4});
  ParsedTensor tensor = ParseTensor(AttrTensor(content));
  EXPECT_EQ(tensor.dtype, kInt32);
  EXPECT_EQ(tensor.shape.ToString(), "[2,2]");
  EXPECT_EQ(Elements(tensor.values), (std::vector<int64_t>{1, -2, 3, 4}));

  // One value stands for all: dtype, shape [3], int_val -1.
  std::string proto, dim, shape;
  AppendVarintField(1, kInt32, &proto);
  AppendVarintField(1, 3, &dim);
  AppendBytesField(2, dim, &shape);
  AppendBytesField(2, shape, &proto);
  const std::string zeros = proto;
  AppendVarintField(7, static_cast<uint64_t>(int64_t{-1}), &proto);
  EXPECT_EQ(Elements(ParseTensor(proto).values),
            (std::vector<int64_t>{-1, -1, -1}));
  EXPECT_EQ(Elements(ParseTensor(zeros).values),
            (std::vector<int64_t>{0, 0, 0}));
}

TEST(ParseTensor, ContentOfTheWrongLengthIsNotKnown) {
  std::string proto, dim, shape;
  AppendVarintField(1, kInt64, &proto);
  AppendVarintField(1, 3, &dim);
  AppendBytesField(2, dim, &shape);
  AppendBytesField(2, shape, &proto);
  AppendBytesField(4, std::string(23, '\0'), &proto);
  EXPECT_FALSE(ParseTensor(proto).values.known());
  EXPECT_EQ(ParseTensor(proto).shape.ToString(), "[3]");
}

TEST(ParseTensor, FloatsHaveNoValues) {
  const std::string attr = FloatTensorAttr({2}, {1.0f, 2.0f});
  EXPECT_FALSE(ParseTensor(AttrTensor(attr)).values.known());
}

TEST(AttrValue, ListsOfStringsAreNothingElse) {
  std::vector<std::string_view> list;
  const std::string strings = StringListAttr({"a", "", "b"});
  EXPECT_TRUE(AttrStrings(strings, &list));
  EXPECT_EQ(list, (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_FALSE(AttrStrings(ShapeListAttr({{1}}), &list));
  EXPECT_FALSE(AttrStrings(TypeAttrValue(kFloat), &list));
  EXPECT_FALSE(AttrStrings("", &list));
  EXPECT_TRUE(list.empty());
}

}  // namespace
}  // namespace grappler_go
