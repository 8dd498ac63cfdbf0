#include "cc/graph/tensor_shape.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace grappler_go {
namespace {

TEST(TensorShape, IsUnknownUntilToldOtherwise) {
  const TensorShape shape;
  EXPECT_FALSE(shape.known_rank());
  EXPECT_FALSE(shape.fully_known());
  EXPECT_EQ(shape.num_elements(), -1);
  EXPECT_EQ(shape.ToString(), "?");
}

TEST(TensorShape, CountsElementsOnlyWhenEveryDimensionIsKnown) {
  EXPECT_EQ(TensorShape::Scalar().num_elements(), 1);
  EXPECT_EQ(TensorShape::Of({2, 3, 4}).num_elements(), 24);
  EXPECT_EQ(TensorShape::Of({2, -1}).num_elements(), -1);
  EXPECT_EQ(TensorShape::Of({2, -1}).ToString(), "[2,?]");
}

TEST(TensorShape, AnElementCountPastTwoToThe62IsUnknown) {
  const int64_t half = int64_t{1} << 31;
  EXPECT_EQ(TensorShape::Of({half, half}).num_elements(), int64_t{1} << 62);
  EXPECT_EQ(TensorShape::Of({half, half, 2}).num_elements(), -1);
  EXPECT_EQ(TensorShape::Of({half, half, half, 0}).num_elements(), 0);
}

TEST(TensorShape, NegativeIndicesCountFromTheEnd) {
  TensorShape shape = TensorShape::Of({5, 6, 7});
  EXPECT_EQ(shape.dim(-1), 7);
  shape.set_dim(-3, 9);
  EXPECT_EQ(shape.dim(0), 9);
}

TEST(TensorShape, AnyNegativeSizeIsUnknown) {
  TensorShape shape = TensorShape::Of({-7});
  EXPECT_EQ(shape.dim(0), -1);
  shape.set_dim(0, -2);
  EXPECT_EQ(shape.dim(0), -1);
}

TEST(TensorShape, MoreThanEightDimensionsMakeTheRankUnknown) {
  TensorShape shape = TensorShape::Scalar();
  for (int i = 0; i < TensorShape::kMaxRank; ++i) shape.add_dim(1);
  EXPECT_EQ(shape.rank(), TensorShape::kMaxRank);
  shape.add_dim(1);
  EXPECT_FALSE(shape.known_rank());
  shape.add_dim(1);
  EXPECT_FALSE(shape.known_rank());
  EXPECT_FALSE(TensorShape::OfRank(9).known_rank());
}

TEST(TensorShape, EqualityLooksAtTheKnownPartOnly) {
  TensorShape longer = TensorShape::Of({1, 2});
  EXPECT_NE(longer, TensorShape::Of({1}));
  EXPECT_EQ(longer, TensorShape::Of({1, 2}));
  EXPECT_EQ(TensorShape(), TensorShape());
}

TEST(DataTypeSize, CountsAReferenceAsItsValue) {
  EXPECT_EQ(DataTypeSize(1), 4);
  EXPECT_EQ(DataTypeSize(101), 4);
  EXPECT_EQ(DataTypeSize(109), 8);
}

TEST(DataTypeSize, IsZeroForWhatHasNoFixedSize) {
  EXPECT_EQ(DataTypeSize(7), 0);   // string
  EXPECT_EQ(DataTypeSize(20), 0);  // resource
  EXPECT_EQ(DataTypeSize(21), 0);  // variant
  EXPECT_EQ(DataTypeSize(0), 0);
  EXPECT_EQ(DataTypeSize(-5), 0);
}

}  // namespace
}  // namespace grappler_go
