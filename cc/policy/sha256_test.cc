#include "cc/policy/sha256.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace grappler_go {
namespace {

// Examples of FIPS 180-4.
TEST(Sha256, AgreesWithThePublishedExamples) {
  EXPECT_EQ(Sha256Hex(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(
      Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256Hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, AFileHashesLikeItsBytes) {
  const std::string path = testing::TempDir() + "sha256_test.bin";
  const std::string bytes(3 * (1 << 20) + 17, 'x');
  std::ofstream(path, std::ios::binary) << bytes;
  StatusOr<std::string> hash = Sha256HexOfFile(path);
  ASSERT_TRUE(hash.ok()) << hash.status().message();
  EXPECT_EQ(*hash, Sha256Hex(bytes));
  std::remove(path.c_str());
}

TEST(Sha256, NamesAFileThatIsNotThere) {
  StatusOr<std::string> hash = Sha256HexOfFile("/nowhere/at/all");
  ASSERT_FALSE(hash.ok());
  EXPECT_EQ(hash.status().code(), StatusCode::kNotFound);
  EXPECT_NE(hash.status().message().find("/nowhere/at/all"), std::string::npos);
}

}  // namespace
}  // namespace grappler_go
