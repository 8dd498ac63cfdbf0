#include "cc/graph/wire.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace grappler_go {
namespace {

std::vector<WireField> ReadAll(std::string_view bytes, bool* ok) {
  std::vector<WireField> fields;
  WireReader reader(bytes);
  WireField field;
  while (reader.Next(&field)) fields.push_back(field);
  *ok = reader.ok();
  return fields;
}

bool Malformed(std::string_view bytes) {
  bool ok = true;
  ReadAll(bytes, &ok);
  return !ok;
}

TEST(WireReader, ReadsBackWhatTheWriterAppends) {
  std::string bytes;
  AppendVarintField(1, 300, &bytes);
  AppendVarintField(2, std::numeric_limits<uint64_t>::max(), &bytes);
  AppendFixed32Field(3, 0x3f800000, &bytes);
  AppendBytesField(536870911, "hello", &bytes);
  bool ok = false;
  const std::vector<WireField> fields = ReadAll(bytes, &ok);
  ASSERT_TRUE(ok);
  ASSERT_EQ(fields.size(), 4u);
  EXPECT_EQ(fields[0].varint, 300u);
  EXPECT_EQ(fields[1].varint, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(fields[2].type, WireType::kFixed32);
  EXPECT_EQ(fields[2].varint, 0x3f800000u);
  EXPECT_EQ(fields[3].number, 536870911u);
  EXPECT_EQ(fields[3].bytes, "hello");
}

TEST(WireReader, TellsWhereEachFieldBeginsAndEnds) {
  std::string bytes;
  AppendVarintField(1, 1, &bytes);
  AppendBytesField(2, "abc", &bytes);
  bool ok = false;
  const std::vector<WireField> fields = ReadAll(bytes, &ok);
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].begin, bytes.data());
  EXPECT_EQ(fields[0].end, fields[1].begin);
  EXPECT_EQ(fields[1].end, bytes.data() + bytes.size());
  EXPECT_GE(fields[1].bytes.data(), bytes.data());  // a view, not a copy
}

TEST(WireReader, AcceptsNoBytesAtAll) {
  bool ok = false;
  EXPECT_TRUE(ReadAll("", &ok).empty());
  EXPECT_TRUE(ok);
}

TEST(WireReader, RejectsEveryTruncation) {
  std::string bytes;
  AppendBytesField(1, "some bytes", &bytes);
  for (size_t n = 1; n < bytes.size(); ++n) {
    EXPECT_TRUE(Malformed(std::string_view(bytes).substr(0, n))) << n;
  }
  EXPECT_TRUE(Malformed(std::string_view("\x0d\x01\x02\x03", 4)));  // fixed32
  EXPECT_TRUE(Malformed(std::string_view("\x09\x01\x02\x03", 4)));  // fixed64
}

TEST(WireReader, RejectsAVarintThatNeverEnds) {
  EXPECT_TRUE(Malformed("\x08" + std::string(11, '\xff')));
  EXPECT_TRUE(Malformed(std::string(3, '\xff')));
  // Eleven bytes, one more than 64 bits can need.
  EXPECT_TRUE(Malformed("\x08" + std::string(10, '\x80') + "\x01"));
}

TEST(WireReader, RejectsALengthPastTheEndEvenWhenItWouldWrapAround) {
  WireReader reader("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  WireField field;
  EXPECT_FALSE(reader.Next(&field));
  EXPECT_FALSE(reader.ok());
  EXPECT_TRUE(Malformed("\x0a\x02z"));
}

TEST(WireReader, RejectsGroupsAndFieldNumbersOutOfRange) {
  EXPECT_TRUE(Malformed("\x0b"));                       // start group
  EXPECT_TRUE(Malformed("\x0e"));                       // wire type 6
  EXPECT_TRUE(Malformed(std::string_view("\0\1", 2)));  // field 0
  EXPECT_TRUE(Malformed("\x80\x80\x80\x80\x10\x01"));   // field 2^29
}

TEST(WireReader, StaysFailed) {
  WireReader reader("\x0b\x08\x01");
  WireField field;
  EXPECT_FALSE(reader.Next(&field));
  EXPECT_FALSE(reader.Next(&field));
  EXPECT_FALSE(reader.ok());
}

TEST(WireWriter, WritesAnAttributeAsAMapEntry) {
  std::string node;
  AppendAttr("_XlaCompile", BoolAttrValue(true), &node);
  const std::string expected =
      std::string("\x2a\x11\x0a\x0b") + "_XlaCompile" + "\x12\x02\x28\x01";
  EXPECT_EQ(node, expected);
}

TEST(WireWriter, WritesAttrValuesAsTensorFlowDoes) {
  EXPECT_EQ(StringAttrValue("ab"),
            "\x12\x02"
            "ab");
  EXPECT_EQ(IntAttrValue(5), "\x18\x05");
  EXPECT_EQ(IntAttrValue(-1).size(), 11u);  // negative: ten bytes of varint
  EXPECT_EQ(BoolAttrValue(false), std::string("\x28\x00", 2));
  EXPECT_EQ(TypeAttrValue(1), "\x30\x01");
}

}  // namespace
}  // namespace grappler_go
