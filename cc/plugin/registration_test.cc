#include "cc/plugin/registration.h"

#include <gtest/gtest.h>

namespace grappler_go {
namespace {

TEST(Registration, TakesTensorFlow216AndNewer) {
  for (const char* version :
       {"2.16.0", "2.16.2", "2.21.0", "2.22.0-rc1", "2.100.0", "3.0.0"}) {
    EXPECT_TRUE(CheckTensorFlowVersion(version).ok()) << version;
  }
}

TEST(Registration, RefusesOlderOnesInASentenceThatNamesBoth) {
  for (const char* version : {"2.15.1", "1.15.5", "2.9.0", "", "unknown"}) {
    const Status status = CheckTensorFlowVersion(version);
    ASSERT_FALSE(status.ok()) << version;
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_NE(status.message().find("2.16"), std::string::npos);
    EXPECT_NE(status.message().find(version), std::string::npos);
  }
}

TEST(Registration, SaysThatItHasNotHappenedYet) {
  EXPECT_EQ(RegistrationOutcome().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(CheckMayRegister().ok()) << CheckMayRegister().message();
}

}  // namespace
}  // namespace grappler_go
